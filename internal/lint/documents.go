package lint

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cell is what code in a Markdown table looks like.
var cell = regexp.MustCompile("`([^`]+)`")

// docRow is one row of the package table in docs/ARCHITECTURE.md.
type docRow struct {
	floor   string
	pkg     string
	imports string
}

// docRows reads the rows `| floor | package | holds | may import |` of a document: those whose first cell is a number.
func docRows(text string) []docRow {
	var rows []docRow
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		name := cell.FindStringSubmatch(cells[1])
		if _, err := strconv.Atoi(cells[0]); err != nil || name == nil {
			continue
		}
		rows = append(rows, docRow{floor: cells[0], pkg: name[1], imports: cells[3]})
	}
	return rows
}

// asDocumented is what the last cell of a row says of a package.
func (r *row) asDocumented() string {
	var parts []string
	for _, p := range strings.Fields(r.ours + " " + r.mods) {
		parts = append(parts, "`"+p+"`")
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, " ")
}

// checkArchitecture compares the package table of docs/ARCHITECTURE.md with the tree and with the table of imports.
func checkArchitecture(text string, pkgs []pkg) []string {
	var bad []string
	rows := docRows(text)
	for _, p := range pkgs {
		if !slices.ContainsFunc(rows, func(r docRow) bool { return r.pkg == p.name }) {
			bad = append(bad, "docs/ARCHITECTURE.md: no row for "+p.name)
		}
	}
	for i, d := range rows {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.name == d.pkg }) {
			bad = append(bad, "docs/ARCHITECTURE.md: no package "+d.pkg)
			continue
		}
		if slices.ContainsFunc(rows[:i], func(r docRow) bool { return r.pkg == d.pkg }) {
			bad = append(bad, "docs/ARCHITECTURE.md: two rows for "+d.pkg)
		}
		r := rowOf(d.pkg)
		if r == nil {
			continue // checkImports says so
		}
		if d.floor != strconv.Itoa(r.floor) || d.imports != r.asDocumented() {
			bad = append(bad, fmt.Sprintf("docs/ARCHITECTURE.md: the row of %s should start %d and end %s", d.pkg, r.floor, r.asDocumented()))
		}
	}
	return bad
}

// checkDependencies demands that the table in docs/dependencies.md explains every direct dependency in go.mod, and
// nothing else.
func checkDependencies(goMod, text string) []string {
	var bad []string
	explained := map[string]bool{}
	for line := range strings.Lines(text) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		if name := cell.FindStringSubmatch(first); strings.HasPrefix(line, "|") && name != nil {
			explained[name[1]] = true
		}
	}
	for line := range strings.Lines(goMod) {
		fields := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") || strings.Contains(line, "// indirect") {
			continue
		}
		if !explained[fields[0]] {
			bad = append(bad, "docs/dependencies.md: nothing on "+fields[0])
		}
		delete(explained, fields[0])
	}
	for name := range explained {
		bad = append(bad, "docs/dependencies.md: go.mod does not require "+name+" directly")
	}
	return bad
}

// namedTest is what a test is called in a document: `frontends/http.TestPipelined`.
var namedTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`")

// checkNamedTests demands that the tests which a document names are there.
func checkNamedTests(name, text string, pkgs []pkg) []string {
	var bad []string
	for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.name == m[1] && p.hasTest(m[2]) }) {
			bad = append(bad, fmt.Sprintf("%s: no test %s in %s", name, m[2], m[1]))
		}
	}
	return bad
}

// hasTest looks for a function in the tests of a package.
func (p *pkg) hasTest(name string) bool {
	return slices.ContainsFunc(p.all, func(f file) bool {
		return f.test && slices.ContainsFunc(f.ast.Decls, func(d ast.Decl) bool {
			fn, ok := d.(*ast.FuncDecl)
			return ok && fn.Recv == nil && fn.Name.Name == name
		})
	})
}
