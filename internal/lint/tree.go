package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modulePath is the prefix of every import of ours.
const modulePath = "github.com/OdyseeTeam/prism"

// pkg is one package of the tree as the go command lists it.
type pkg struct {
	name    string // below the module's root: "segments/mount"
	imports []string
	tests   []string // imports of its tests, inside and outside the package
	files   []file   // without tests
	all     []file   // with tests
}

// file is one parsed file.
type file struct {
	path string // below the module's root
	test bool
	ast  *ast.File
}

// listed is the part of `go list -json` that is read.
type listed struct {
	ImportPath, Dir                          string
	GoFiles, TestGoFiles, XTestGoFiles       []string
	Imports, TestImports, XTestImports       []string
	IgnoredGoFiles, CgoFiles, InvalidGoFiles []string
}

// moduleRoot is the folder with go.mod, at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("lint: no go.mod above the working directory")
		}
		dir = up
	}
}

// load lists and parses every package below root. A package that does not compile is listed all the same: telling so
// is the compiler's task.
func load(root string, fset *token.FileSet) ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json", "./...")
	cmd.Dir = root
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("lint: go list: %w\n%s", err, errs.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(&out); ; {
		var l listed
		if err := dec.Decode(&l); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("lint: read what go list says: %w", err)
		}
		p, err := l.parse(root, fset)
		if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
}

// parse reads the files of one package.
func (l *listed) parse(root string, fset *token.FileSet) (pkg, error) {
	p := pkg{
		name:    strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, modulePath), "/"),
		imports: l.Imports,
		tests:   append(l.TestImports, l.XTestImports...),
	}
	add := func(names []string, test bool) error {
		for _, name := range names {
			path := filepath.Join(l.Dir, name)
			tree, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return fmt.Errorf("lint: %w", err)
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			f := file{path: filepath.ToSlash(rel), test: test, ast: tree}
			p.all = append(p.all, f)
			if !test {
				p.files = append(p.files, f)
			}
		}
		return nil
	}
	for _, group := range [][]string{l.GoFiles, l.CgoFiles, l.IgnoredGoFiles} {
		if err := add(group, false); err != nil {
			return p, err
		}
	}
	for _, group := range [][]string{l.TestGoFiles, l.XTestGoFiles} {
		if err := add(group, true); err != nil {
			return p, err
		}
	}
	return p, nil
}
