package lint

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// checkImports holds a package to its row. Tests may also import any test kit, anything internal, and what their row
// leaves out of other modules; the floors hold for them too, or else a lower package could only be tested with an
// upper one.
func checkImports(p pkg) []string {
	r := rowOf(p.name)
	if r == nil {
		return []string{p.name + ": no row in internal/lint/table.go: add one, and one in docs/ARCHITECTURE.md"}
	}
	var bad []string
	for _, imp := range p.imports {
		if why := r.forbids(imp); why != "" {
			bad = append(bad, fmt.Sprintf("%s imports %s: %s", p.name, imp, why))
		}
	}
	for _, imp := range p.tests {
		own, isOurs := ours(imp)
		if !isOurs || own == p.name || isKit(own) || strings.HasPrefix(own, "internal/") || r.allows(own) || testExtra(p.name, own) {
			continue
		}
		bad = append(bad, fmt.Sprintf("a test of %s imports %s: not in its row", p.name, imp))
	}
	return bad
}

// checkStale finds modules that a row allows and the package does without.
func checkStale(p pkg) []string {
	r := rowOf(p.name)
	if r == nil {
		return nil // checkImports says so
	}
	var bad []string
	for _, m := range strings.Fields(r.mods) {
		if !slices.ContainsFunc(p.imports, (&row{mods: m}).allowsModule) {
			bad = append(bad, fmt.Sprintf("%s may import %s and does not: take it out of its row", p.name, m))
		}
	}
	return bad
}

// testExtra names the packages that a test may import beyond its row, each for a reason.
func testExtra(pkg, imp string) bool {
	switch {
	case pkg == "frontends/reflector" && imp == "frontends/upload/reflectclient":
		return true // its clients' side
	case pkg == "stores" || strings.HasPrefix(pkg, "stores/") || strings.HasPrefix(pkg, "frontends/"):
		return strings.HasPrefix(imp, "stores/") || imp == "config" // trees of real stores instead of mocks
	case pkg == "engine":
		return imp == "engine/check" // which says what is left of the damage that a test did
	case isKit(pkg):
		return strings.HasPrefix(pkg, imp+"/") // a kit is tried on what it tests
	}
	return false
}

// forbids says why a row forbids an import, or nothing.
func (r *row) forbids(imp string) string {
	own, isOurs := ours(imp)
	first, _, _ := strings.Cut(imp, "/")
	switch {
	case isOurs && isKit(own) && !isKit(r.pkg):
		return "a test kit is for tests"
	case isOurs && !r.allows(own):
		return "not in its row"
	case isOurs:
		return ""
	case strings.Contains(first, "."):
		if !r.allowsModule(imp) {
			return "this module is not in its row"
		}
		return ""
	}
	return r.forbidsStandard(imp)
}

// forbidsStandard says why a package of the standard library is forbidden, or nothing.
func (r *row) forbidsStandard(imp string) string {
	switch imp {
	case "log", "expvar", "io/ioutil", "math/rand":
		return "use log/slog, the package metrics, io and os, or math/rand/v2"
	case "net":
		// From the stores up everybody meets errors and addresses of the network.
		if !r.net && r.floor < 4 {
			return "this floor knows nothing of sockets"
		}
	case "net/http", "net/http/httptest", "net/http/pprof", "net/rpc", "net/smtp", "crypto/tls", "database/sql":
		if !r.net {
			return "this package knows nothing of HTTP or databases"
		}
	}
	return ""
}

// ours is the name below the module's root of a package of ours.
func ours(imp string) (string, bool) {
	return strings.CutPrefix(imp, modulePath+"/")
}

// checkIndexUsesOfSegments holds the index to the vocabulary of segments: where a record is, and what it says. Only the
// engine joins the two, so that "bytes before pointer" lives in one place.
func checkIndexUsesOfSegments(p pkg) []string {
	if p.name != "index" {
		return nil
	}
	words := []string{"Location", "ID", "Record", "Blocks", "BlockSize"}
	var bad []string
	for _, f := range p.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "segments" && !slices.Contains(words, s.Sel.Name) {
				bad = append(bad, fmt.Sprintf("%s: segments.%s: the index knows only %v", f.path, s.Sel.Name, words))
			}
			return true
		})
	}
	return bad
}
