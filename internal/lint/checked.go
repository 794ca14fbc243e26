package lint

import (
	"go/ast"
	"slices"
	"strings"
)

// checkChecked wants tests that open engines, or stores on disk, to end with the checker, or to say why they do not: their
// package uses engine/check/checktest. Measurements are no tests.
func checkChecked(p pkg) []string {
	const kit = modulePath + "/engine/check/checktest"
	if strings.HasPrefix(p.name, "benchmarks") || slices.Contains(p.tests, kit) {
		return nil
	}
	for _, f := range p.all {
		if f.test && (calls(f.ast, "engine", "Open") || calls(f.ast, "disk", "Open")) {
			return []string{f.path + " opens a mount, and nothing checks it afterwards: call checktest.After before, or checktest.Except with the reason"}
		}
	}
	return nil
}

// calls says whether a file calls a function of a package of ours.
func calls(f *ast.File, pkg, name string) bool {
	if !slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool {
		return strings.HasPrefix(i.Path.Value, `"`+modulePath+"/") && strings.HasSuffix(i.Path.Value, "/"+pkg+`"`)
	}) {
		return false
	}
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == name {
				x, ok := s.X.(*ast.Ident)
				found = found || ok && x.Name == pkg
			}
		}
		return !found
	})
	return found
}
