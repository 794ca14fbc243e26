package lint

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// parsed makes a package of one file out of source text.
func parsed(t *testing.T, name, src string) pkg {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), "a.go", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	f := file{path: name + "/a.go", ast: tree}
	return pkg{name: name, files: []file{f}, all: []file{f}}
}

// mention fails unless there is one finding for each text, in their order; an empty text stands for none.
func mention(t *testing.T, bad []string, want ...string) {
	t.Helper()
	if len(want) == 1 && want[0] == "" {
		want = nil
	}
	if !slices.EqualFunc(bad, want, strings.Contains) {
		t.Errorf("findings %q, want %q", bad, want)
	}
}

func TestImportsRule(t *testing.T) {
	const m = modulePath + "/"
	for name, c := range map[string]struct {
		pkg     string
		imports []string
		tests   []string
		want    string
	}{
		"floors keep apart":             {pkg: "segments", imports: []string{m + "index"}, want: "segments imports"},
		"blob stands alone":             {pkg: "blob", imports: []string{m + "internal/bufpool"}, want: "not in its row"},
		"blob takes no module":          {pkg: "blob", imports: []string{"golang.org/x/sys/unix"}, want: "this module"},
		"engine takes its lower floors": {pkg: "engine", imports: []string{m + "index", m + "segments/mount", m + "internal/diskfs", "os"}},
		"engine knows no HTTP":          {pkg: "engine", imports: []string{"net/http"}, want: "knows nothing of"},
		"segments know no sockets":      {pkg: "segments", imports: []string{"net"}, want: "knows nothing of"},
		"a store knows no HTTP":         {pkg: "stores/mem", imports: []string{"net/http", "net"}, want: "knows nothing of HTTP"},
		"but for the one that speaks":   {pkg: "stores/http", imports: []string{"net/http", "net"}},
		"the vfs is not pebble":         {pkg: "internal/diskfs/pebblefs", imports: []string{"github.com/cockroachdb/pebble/v2"}, want: "this module"},
		"check imports no engine":       {pkg: "engine/check", imports: []string{m + "engine"}, want: "not in its row"},
		"a frontend sees no engine":     {pkg: "frontends/http", imports: []string{m + "engine"}, want: "not in its row"},
		"a kit in the program":          {pkg: "engine", imports: []string{m + "internal/diskfs/crashfs"}, want: "test kit"},
		"a kit in a test":               {pkg: "engine", tests: []string{m + "internal/diskfs/crashfs"}},
		"a test keeps to its floor":     {pkg: "segments", tests: []string{m + "engine"}, want: "a test of segments"},
		"a kit in a kit":                {pkg: "engine/enginetest", imports: []string{m + "engine"}},
		"old log":                       {pkg: "cmd/prism", imports: []string{"log"}, want: "log/slog"},
		"the top may import all":        {pkg: "cmd/prism", imports: []string{m + "engine", "net/http"}},
		"an unknown package":            {pkg: "gadgets", want: "no row"},
	} {
		t.Run(name, func(t *testing.T) {
			mention(t, checkImports(pkg{name: c.pkg, imports: c.imports, tests: c.tests}), c.want)
		})
	}
}

func TestStaleRule(t *testing.T) {
	mention(t, checkStale(pkg{name: "metrics", imports: []string{"github.com/prometheus/client_golang/prometheus"}}), "")
	mention(t, checkStale(pkg{name: "metrics", imports: []string{"net/http"}}), "take it out")
}

func TestTableRespectsFloors(t *testing.T) {
	for _, r := range table {
		for _, p := range strings.Fields(r.ours) {
			low := rowOf(strings.TrimRight(p, "…/"))
			if low != nil && low.floor > r.floor {
				t.Errorf("%s on floor %d may import %s on floor %d", r.pkg, r.floor, low.pkg, low.floor)
			}
		}
	}
}

func TestIndexRule(t *testing.T) {
	mention(t, checkIndexUsesOfSegments(parsed(t, "index", "package index\nvar _ segments.Location")), "")
	mention(t, checkIndexUsesOfSegments(parsed(t, "index", "package index\nvar _ = segments.Open")), "segments.Open")
}

func TestNamedTestsRule(t *testing.T) {
	p := parsed(t, "stores/mem", "package mem\nfunc TestGet(*testing.T) {}\nfunc (T) TestPut() {}")
	p.all[0].test = true
	check := func(text string) []string { return checkNamedTests("proof.md", text, []pkg{p}) }
	mention(t, check("`stores/mem.TestGet` and `TestPut`"), "")
	mention(t, check("| `stores/mem.TestPut` `stores/mem.TestGe` `stores/me.TestGet` |"),
		"no test TestPut in stores/mem", "no test TestGe in stores/mem", "no test TestGet in stores/me")
}

func TestCheckedMountsRule(t *testing.T) {
	const eng, store = `import "` + modulePath + `/engine"`, `import "` + modulePath + `/stores/disk"`
	for src, want := range map[string]string{
		eng + "\nfunc f() { e, err := engine.Open(nil, engine.Options{}) }":             "nothing checks it",
		store + "\nfunc f() { g(func() { s, err := disk.Open(nil, disk.Options{}) }) }": "nothing checks it",
		eng + "\nfunc f() { engine.ParseSync() }":                                       "",
		"func f() { disk.Open(nil) }":                                                   "",
	} {
		p := parsed(t, "x", "package x\n"+src)
		mention(t, checkChecked(p), "")
		p.all[0].test = true
		mention(t, checkChecked(p), want)
		p.tests = []string{modulePath + "/engine/check/checktest"}
		mention(t, checkChecked(p), "")
	}
}

func TestStateRule(t *testing.T) {
	for src, want := range map[string]string{
		`var _ io.Reader = (*T)(nil)`:                                   "",
		`var ErrGone = errors.New("gone")`:                              "",
		`var errs = []error{ErrGone}`:                                   "",
		`var words = map[string]int{"a": 1}`:                            "",
		`var zeros [4096]byte`:                                          "",
		`var magic = []byte("PRISM")`:                                   "",
		`var table = crc32.MakeTable(crc32.Castagnoli)`:                 "",
		`func f() { words := 1; _ = words }`:                            "",
		`type T struct{}; func (T) init() {}`:                           "",
		`var words = map[string]int{}; func f() { words["a"] = 1 }`:     "changes it",
		`var words = map[string]int{}; func f() { delete(words, "a") }`: "changes it",
		`var n = 1; func f() { n++ }`:                                   "changes it",
		`var n = 1; func f() *int { return &n }`:                        "changes it",
		`var zeros [4]byte; func f() { zeros[0], _ = 1, 2 }`:            "changes it",
		`var ErrGone = errors.New("gone"); func f() { ErrGone = nil }`:  "changes it",
		`var Words = []string{"a"}`:                                     "unexport it",
		`var count atomic.Int64`:                                        "neither",
		`var mu sync.Mutex`:                                             "neither",
		`var shared = &T{}`:                                             "neither",
		`var pool = sync.Pool{New: f}`:                                  "neither",
		`var cache map[string]int`:                                      "neither",
		`var c = make(chan int)`:                                        "neither",
		`var hole = new(page)`:                                          "",
		`var hole = new(page); func f() { hole[0] = 1 }`:                "changes it",
		`var hole = page(nil)`:                                          "neither",
		`var version = "dev"`:                                           "",
		`func init() {}`:                                                "func init",
	} {
		t.Run(src, func(t *testing.T) {
			mention(t, checkState(parsed(t, "p", "package main\n"+src)), want)
		})
	}
}

func TestPackageCommentRule(t *testing.T) {
	mention(t, checkPackageComment(parsed(t, "x/p", "// Package p is one.\npackage p")), "")
	mention(t, checkPackageComment(parsed(t, "x/p", "package p")), "want one")
	mention(t, checkPackageComment(parsed(t, "x/p", "// This is p.\npackage p")), `want "Package p "`)
	mention(t, checkPackageComment(parsed(t, "cmd/p", "// Command p runs.\npackage main")), "")
	mention(t, checkPackageComment(parsed(t, "cmd/p", "// Package main runs.\npackage main")), `want "Command p "`)
	two := parsed(t, "x/p", "// Package p is one.\npackage p")
	two.files = append(two.files, two.files[0])
	mention(t, checkPackageComment(two), "want one")
}

func TestPackageNameRule(t *testing.T) {
	mention(t, checkPackageName(pkg{name: "internal/diskfs"}), "")
	mention(t, checkPackageName(pkg{name: "internal/util"}), "says nothing")
}

func TestTextRule(t *testing.T) {
	long := strings.Repeat("x\n", maxLines)
	for name, c := range map[string]struct{ file, text, want string }{
		"longest":       {"a.go", long, ""},
		"too long":      {"a.go", long + "x\n", "cut it"},
		"no Go":         {"a.md", long + "x\n", ""},
		"a URL":         {"a.md", "https://example.com/" + "home/x and a/" + "work/b", ""},
		"a path":        {"a.md", "cd /" + "work/main", "somebody's machine"},
		"a home":        {"a.md", "`/" + "home/me/x`", "somebody's machine"},
		"a note":        {"a.go", "// TO" + "DO: later", "do it"},
		"binary":        {"a.bin", "\x00/" + "work/main", ""},
		"word in words": {"a.go", "method", ""},
	} {
		t.Run(name, func(t *testing.T) { mention(t, checkText(c.file, []byte(c.text)), c.want) })
	}
}

func TestArchitectureRule(t *testing.T) {
	const head = "| floor | package | holds | may import |\n|---|---|---|---|\n"
	leaf := head + "| 0 | `internal/bufpool` | words | – |\n"
	pkgs := []pkg{{name: "internal/bufpool"}}
	mention(t, checkArchitecture(leaf, pkgs), "")
	mention(t, checkArchitecture(head, pkgs), "no row for internal/bufpool")
	mention(t, checkArchitecture(leaf+"| 0 | `protocol/stream` | x | `blob` |\n", pkgs), "no package protocol/stream")
	mention(t, checkArchitecture(leaf+"| 0 | `internal/bufpool` | again | – |\n", pkgs), "two rows")
	mention(t, checkArchitecture(head+"| 1 | `internal/bufpool` | words | – |\n", pkgs), "should start 0")
	mention(t, checkArchitecture(head+"| 0 | `internal/bufpool` | words | `stores` |\n", pkgs), "end –")
}

func TestDependenciesRule(t *testing.T) {
	const mod = "require a.org/x v1.2.3\nrequire (\n\tb.org/y v0.1.0\n\tc.org/z v1.0.0 // indirect\n)\n"
	const both = "| module |\n|---|\n| `a.org/x` | has `words` |\n| `b.org/y` | |\n"
	mention(t, checkDependencies(mod, both), "")
	mention(t, checkDependencies(mod, strings.Replace(both, "b.org", "c.org", 1)), "nothing on b.org/y", "c.org/y directly")
	mention(t, checkDependencies(mod, "| `a.org/x` | `b.org/y` |"), "nothing on b.org/y")
	mention(t, checkDependencies(mod, both+"| `c.org/z` | |\n"), "c.org/z directly")
}
