package lint

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxLines is the longest file of Go code. A longer one holds more than one idea.
const maxLines = 600

// longFiles are the exceptions, each with what it would cost to cut it. Empty is how it should stay.
var longFiles = map[string]string{}

// vague are names that say nothing about what a package holds.
var vague = []string{"shared", "util", "utils", "common", "base", "helper", "helpers", "misc", "lib"}

// A word that may not stand in the tree, and why. The patterns are written so that they do not match themselves.
var (
	machinePath = regexp.MustCompile(`(^|[^\w.])/(work|home|Users|tmp/w)/[\w.]`)
	note        = regexp.MustCompile(`\b(TOD[O]|FIXM[E]|XX[X])\b`)
)

// checkPackageComment demands one package comment, in one file, that says what the package is.
func checkPackageComment(p pkg) []string {
	files := p.files
	if len(files) == 0 {
		files = p.all // nothing but tests
	}
	var with []string
	var text, name string
	for _, f := range files {
		if f.ast.Doc != nil && f.ast.Doc.Text() != "" {
			with = append(with, path.Base(f.path))
			text, name = f.ast.Doc.Text(), f.ast.Name.Name
		}
	}
	if len(with) != 1 {
		return []string{fmt.Sprintf("%s: package comments in %v: want one, in one file", p.name, with)}
	}
	want := "Package " + strings.TrimSuffix(name, "_test") + " "
	if name == "main" {
		want = "Command " + path.Base(p.name) + " "
	}
	if !strings.HasPrefix(text, want) {
		return []string{fmt.Sprintf("%s: the package comment starts %.40q: want %q", p.name, text, want)}
	}
	return nil
}

// checkPackageName refuses names that say nothing.
func checkPackageName(p pkg) []string {
	if slices.Contains(vague, path.Base(p.name)) {
		return []string{p.name + ": this name says nothing about what the package holds"}
	}
	return nil
}

// checkText looks at one file of any kind.
func checkText(name string, text []byte) []string {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil // no text
	}
	var bad []string
	lines := 0
	for line := range bytes.Lines(text) {
		lines++
		if machinePath.Match(line) {
			bad = append(bad, fmt.Sprintf("%s:%d: a path of somebody's machine: %.80s", name, lines, bytes.TrimSpace(line)))
		}
		if note.Match(line) {
			bad = append(bad, fmt.Sprintf("%s:%d: do it, or open an issue: %.80s", name, lines, bytes.TrimSpace(line)))
		}
	}
	if strings.HasSuffix(name, ".go") && lines > maxLines && longFiles[name] == "" {
		bad = append(bad, fmt.Sprintf("%s has %d lines: cut it by ideas; at most %d", name, lines, maxLines))
	}
	return bad
}
