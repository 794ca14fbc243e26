package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// checkState finds init functions and package variables that could change. A package variable may be
//
//   - blank: an interface guard;
//   - an error that a constructor of errors made: a sentinel;
//   - version in package main, which the linker sets;
//   - an unexported table: a literal that is no pointer, a text or number, an array, a conversion, a marker made by new,
//     or the result of one of the functions in makers; and nothing in the package, its tests included, assigns to it or
//     to a part of it, takes its address, or deletes from it. Variables are told apart by name alone, so a local one
//     with a table's name needs another name.
func checkState(p pkg) []string {
	changed := changedNames(p.all)
	var bad []string
	for _, f := range p.files {
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					bad = append(bad, f.path+": func init: call what it does from where it is needed")
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					bad = append(bad, f.checkVars(d, changed)...)
				}
			}
		}
	}
	return bad
}

// checkVars judges one declaration of package variables.
func (f *file) checkVars(d *ast.GenDecl, changed map[string]bool) []string {
	var bad []string
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		for i, name := range spec.Names {
			var value ast.Expr
			if i < len(spec.Values) {
				value = spec.Values[i]
			}
			if why := f.judgeVar(name.Name, spec.Type, value, changed); why != "" {
				bad = append(bad, fmt.Sprintf("%s: package variable %s: %s", f.path, name.Name, why))
			}
		}
	}
	return bad
}

// judgeVar says why one package variable may not be, or nothing.
func (f *file) judgeVar(name string, typ, value ast.Expr, changed map[string]bool) string {
	switch {
	case name == "_":
		return ""
	case changed[name]:
		return "something in the package changes it"
	case isCallOf(value, "errors.New", "fmt.Errorf"):
		return ""
	case name == "version" && f.ast.Name.Name == "main":
		return ""
	case ast.IsExported(name):
		return "another package could change it: unexport it, or give it out by a function"
	case isTable(typ, value):
		return ""
	}
	return "neither an error, nor a table, nor an interface guard"
}

// makers build what does not change afterwards.
var makers = []string{
	"regexp.MustCompile", "crc32.MakeTable", "strings.NewReplacer", "template.Must", "sync.OnceValue", "sync.OnceValues",
	"netip.MustParsePrefix", "netip.MustParseAddr", "bytes.Repeat", "strings.Repeat", "slices.Sorted", "binary.Size",
}

// isTable says whether a value is one that stays as it is when nothing assigns to it.
func isTable(typ, value ast.Expr) bool {
	switch v := value.(type) {
	case nil:
		array, ok := typ.(*ast.ArrayType)
		return ok && array.Len != nil
	case *ast.CompositeLit:
		return !isOfPackage(v.Type, "sync", "atomic")
	case *ast.BasicLit, *ast.BinaryExpr:
		return true
	case *ast.CallExpr:
		if array, ok := v.Fun.(*ast.ArrayType); ok {
			return array.Len == nil && len(v.Args) == 1 // []byte("magic")
		}
		if f, ok := v.Fun.(*ast.Ident); ok {
			return f.Name == "new" // a marker: nothing writes to it, so all that it has is its address
		}
		return isCallOf(value, makers...)
	}
	return false
}

// isOfPackage says whether a type is declared in one of the packages.
func isOfPackage(typ ast.Expr, packages ...string) bool {
	sel, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && slices.Contains(packages, x.Name)
}

// isCallOf says whether an expression calls one of the functions, named with their packages.
func isCallOf(e ast.Expr, funcs ...string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && slices.Contains(funcs, x.Name+"."+sel.Sel.Name)
}

// changedNames collects the names that some statement assigns to, in whole or in part, counts up or down, takes the
// address of, or deletes from.
func changedNames(files []file) map[string]bool {
	changed := map[string]bool{}
	mark := func(e ast.Expr) {
		if name := rootName(e); name != "" {
			changed[name] = true
		}
	}
	for _, f := range files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						mark(e)
					}
				}
			case *ast.IncDecStmt:
				mark(n.X)
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					mark(n.Key)
					mark(n.Value)
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					mark(n.X)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear" || f.Name == "copy") && len(n.Args) > 0 {
					mark(n.Args[0])
				}
			}
			return true
		})
	}
	return changed
}

// rootName is x of x, x.f, x[i], x[i:j] and *x, or nothing.
func rootName(e ast.Expr) string {
	for {
		switch v := e.(type) {
		case *ast.Ident:
			return strings.TrimPrefix(v.Name, "_")
		case *ast.SelectorExpr:
			e = v.X
		case *ast.IndexExpr:
			e = v.X
		case *ast.SliceExpr:
			e = v.X
		case *ast.StarExpr:
			e = v.X
		case *ast.ParenExpr:
			e = v.X
		default:
			return ""
		}
	}
}
