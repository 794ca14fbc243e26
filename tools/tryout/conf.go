package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// change is one key of the example whose value is replaced.
type change struct {
	key      string
	value    string
	optional bool
}

// rewrite replaces the values of keys in a YAML text, in block or flow style, and leaves the rest as it is, comments
// included. Each key must stand there once, unless it is optional: the text is an example that people copy, and when
// its shape changes this program must be told.
func rewrite(text string, changes []change) (string, error) {
	for _, c := range changes {
		pattern := regexp.MustCompile(`(^|[\s{,])(` + regexp.QuoteMeta(c.key) + `:[ \t]+)("[^"]*"|'[^']*'|[^\s,}#]+)`)
		var b strings.Builder
		found := 0
		for line := range strings.Lines(text) {
			code, comment := line, ""
			if i := strings.Index(line, "#"); i == 0 || i > 0 && strings.ContainsRune(" \t", rune(line[i-1])) {
				code, comment = line[:i], line[i:]
			}
			found += len(pattern.FindAllString(code, -1))
			b.WriteString(pattern.ReplaceAllString(code, "${1}${2}"+strings.ReplaceAll(c.value, "$", "$$")))
			b.WriteString(comment)
		}
		if found > 1 || found == 0 && !c.optional {
			return "", fmt.Errorf("the example configuration has the key %q %d times, want once: tell tools/tryout of its new shape", c.key, found)
		}
		text = b.String()
	}
	return text, nil
}

// quoted is a value as YAML text.
func quoted(s string) string { return strconv.Quote(s) }
