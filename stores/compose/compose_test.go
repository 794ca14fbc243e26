package compose_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/mem"
)

// journal notes what is opened and closed, in order.
type journal struct{ events []string }

// spec opens a memory store that notes its life, and owns its children as every store does.
type spec struct {
	journal  *journal
	name     string
	fail     bool
	children []*compose.Part
}

var errOpen = errors.New("this one does not open")

func (s *spec) Open(context.Context, compose.Env) (stores.Store, error) {
	if s.fail {
		return nil, errOpen
	}
	for _, c := range s.children {
		if c.Store() == nil {
			return nil, fmt.Errorf("the child %s is not open", c.Role)
		}
	}
	s.journal.events = append(s.journal.events, "open "+s.name)
	return &noted{Store: mem.New(mem.Options{Name: s.name}), spec: s}, nil
}

func (s *spec) Describe() string { return s.name }

// bound is a leaf, which can hold 100 bytes and more.
type bound struct{ spec }

func (b *bound) Cap(bytes int64) error {
	if bytes < 100 {
		return errOpen
	}
	b.name += fmt.Sprintf("at most %d", bytes)
	return nil
}

type noted struct {
	stores.Store
	spec *spec
}

func (n *noted) Close() error {
	n.spec.journal.events = append(n.spec.journal.events, "close "+n.spec.name)
	errs := []error{n.Store.Close()}
	for _, c := range n.spec.children {
		errs = append(errs, c.Store().Close())
	}
	return errors.Join(errs...)
}

// kinds are a leaf with a folder that can be bound, a pair of two stores, and a wrap of one.
func kinds(j *journal) []compose.Kind {
	leaf := func(n *compose.Node) compose.Spec {
		s := &bound{spec: spec{journal: j}}
		var dir string
		n.Text("name", &s.name)
		n.Bool("fail", &s.fail)
		if n.Text("dir", &dir) {
			n.Directory("dir", dir)
		}
		return s
	}
	pair := func(n *compose.Node) compose.Spec {
		s := &spec{journal: j}
		n.Text("name", &s.name)
		n.Bool("fail", &s.fail)
		s.children = []*compose.Part{n.Child("first"), n.Child("second")}
		if third, ok := n.OptionalChild("third"); ok {
			s.children = append(s.children, third)
		}
		return s
	}
	wrap := func(n *compose.Node) compose.Spec {
		s := &spec{journal: j, children: []*compose.Part{n.Child("store")}}
		var bound int64
		if n.Size("cap", &bound, 0) {
			found, err := s.children[0].Cap(bound)
			s.name = fmt.Sprint(found, found == s.children[0].Cappable(), err)
		}
		return s
	}
	return []compose.Kind{{Name: "leaf", Read: leaf}, {Name: "pair", Read: pair}, {Name: "wrap", Read: wrap}}
}

func check(doc string) (*compose.Tree, *journal, *yamlnode.Report) {
	j, r := &journal{}, &yamlnode.Report{}
	root := yamlnode.Parse("f.yaml", []byte(doc), os.LookupEnv, r)
	node, _ := root.Map(r).Value("store")
	return compose.Check(kinds(j), node, r), j, r
}

func TestOpenAndClose(t *testing.T) {
	tree, j, r := check(`
store:
  pair:
    name: a
    first: {LEAF: {name: b}}
    second:
      pair: {name: c, first: {leaf: {name: d}}, second: {leaf: {name: e}}, third: {leaf: {}}}
`)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if len(j.events) != 0 {
		t.Fatalf("checking opened %v", j.events)
	}
	if err := tree.Open(t.Context(), compose.Env{}); err != nil {
		t.Fatal(err)
	}
	if got := tree.Store().Name(); got != "mem-a" {
		t.Errorf("the root is %s", got)
	}
	var printed strings.Builder
	if err := tree.Print(&printed); err != nil {
		t.Fatal(err)
	}
	want := "store: pair a\n  first: leaf b\n  second: pair c\n    first: leaf d\n    second: leaf e\n    third: leaf\n"
	if printed.String() != want {
		t.Errorf("printed\n%swant\n%s", &printed, want)
	}
	if err := tree.Close(); err != nil {
		t.Fatal(err)
	}
	wantEvents := "open b, open d, open e, open , open c, open a, close a, close b, close c, close d, close e, close "
	if got := strings.Join(j.events, ", "); got != wantEvents {
		t.Errorf("events\n%s, want\n%s", got, wantEvents)
	}
}

// TestFailedOpen lets each part fail in turn: whatever was opened is closed, once.
func TestFailedOpen(t *testing.T) {
	const doc = "store: {pair: {name: a, first: {pair: {name: b, first: {leaf: {name: c}}, second: {leaf: {name: d}}}}, second: {leaf: {name: e}}}}"
	paths := map[string]string{
		"a": "9: store.pair", "b": "33: store.pair.first.pair", "c": "57: store.pair.first.pair.first.leaf",
		"d": "84: store.pair.first.pair.second.leaf", "e": "113: store.pair.second.leaf",
	}
	for name, path := range paths {
		tree, j, r := check(strings.Replace(doc, "name: "+name, "fail: true, name: "+name, 1))
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		err := tree.Open(t.Context(), compose.Env{})
		if !errors.Is(err, errOpen) || err.Error() != "f.yaml:1:"+path+": "+errOpen.Error() {
			t.Errorf("%s fails: %v, want it at %s", name, err, path)
		}
		for _, ev := range j.events {
			if opened, ok := strings.CutPrefix(ev, "open "); ok {
				if n := count(j.events, "close "+opened); n != 1 {
					t.Errorf("%s fails: %s was closed %d times: %v", name, opened, n, j.events)
				}
			}
		}
		tree.Walk(func(p *compose.Part, _ int) {
			if p == tree.Root && p.Store() != nil {
				t.Errorf("%s fails: the root is there", name)
			}
		})
	}
}

func count(list []string, s string) int {
	n := 0
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

func TestProblems(t *testing.T) {
	f := func(doc string, want ...string) {
		t.Helper()
		tree, j, r := check(doc)
		got := ""
		if err := r.Err(); err != nil {
			got = err.Error()
		}
		if got != strings.Join(want, "\n") || tree != nil || len(j.events) > 0 {
			t.Errorf("%s:\n got %s\nwant %s\ntree %v, opened %v", doc, got, strings.Join(want, "\n"), tree, j.events)
		}
	}
	const none = "there is no store here; name one of leaf, pair, wrap, with its keys under it"
	f("store: {}", "f.yaml:1:8: store: "+none)
	f("store: leaf", `f.yaml:1:8: store: want keys with values under it, not the text "leaf"`, "f.yaml:1:8: store: "+none)
	f("store: [leaf]", `f.yaml:1:8: store: want keys with values under it, not a list`, "f.yaml:1:8: store: "+none)
	f("store: {laef: {}}", "f.yaml:1:9: store.laef: unknown kind of store; did you mean leaf?")
	f("store: {tape: {}}", "f.yaml:1:9: store.tape: unknown kind of store; known are leaf, pair, wrap")
	f("store:\n  leaf: {}\n  pair: {first: {leaf: }, second: {leaf: }}",
		"f.yaml:3:3: store.pair: a second kind of store in one place, beside leaf; keep one")
	f("store:\n  leaf: {}\n  Leaf: {}", "f.yaml:3:3: store.Leaf: this key is here twice; the other one is in line 2")
	f("store:\n  leaf: {}\n  name: x", "f.yaml:3:3: store.name: unknown kind of store; known are leaf, pair, wrap")
	f("store: {leaf: {neme: x}}", "f.yaml:1:16: store.leaf.neme: unknown key; did you mean name?")
	f("store: {leaf: x}", `f.yaml:1:15: store.leaf: want keys with values under it, not the text "x"`)
	f("store: {pair: {first: {leaf: }}}",
		"f.yaml:1:15: store.pair: the key second is missing; put a kind of store under it, such as disk or http")
	f("store: {pair: {first: {leaf: {fail: x}}, second: {tape: }}}",
		`f.yaml:1:37: store.pair.first.leaf.fail: "x" is neither true nor false`,
		"f.yaml:1:51: store.pair.second.tape: unknown kind of store; known are leaf, pair, wrap")
	f("store: {pair: {first: , second: {leaf: }}}", "f.yaml:1:23: store.pair.first: "+none)
}

// TestCap hands a bound down through stores with one child, and through no others.
func TestCap(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		tree, _, r := check("store: " + doc)
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		var printed strings.Builder
		if err := tree.Print(&printed); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(printed.String()), " "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", doc, got, want)
		}
	}
	f("{wrap: {cap: 1000, store: {leaf: }}}", "store: wrap true true <nil> store: leaf at most 1000")
	f("{wrap: {cap: 1000, store: {wrap: {store: {leaf: }}}}}", "store: wrap true true <nil> store: wrap store: leaf at most 1000")
	f("{wrap: {cap: 99, store: {leaf: }}}", "store: wrap true true "+errOpen.Error()+" store: leaf")
	f("{wrap: {cap: 1000, store: {pair: {first: {leaf: }, second: {leaf: }}}}}",
		"store: wrap false true <nil> store: pair first: leaf second: leaf")
}

// TestDirectories covers bad inputs 65: one folder under two names, and what is no folder.
func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "real")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(folder, 0o755))
	must(os.Symlink(folder, filepath.Join(dir, "link")))
	must(os.Symlink(filepath.Join(dir, "loop"), filepath.Join(dir, "loop")))
	must(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	t.Chdir(dir)
	f := func(first, second, want string) {
		t.Helper()
		doc := fmt.Sprintf("store:\n  pair:\n    first: {leaf: {dir: %s}}\n    second: {leaf: {dir: %s}}\n", first, second)
		_, _, r := check(doc)
		got := ""
		if err := r.Err(); err != nil {
			got = strings.TrimPrefix(err.Error(), "f.yaml:4:26: store.pair.second.leaf.dir: ")
		}
		if got != want {
			t.Errorf("%s and %s:\n got %s\nwant %s", first, second, got, want)
		}
	}
	const twice = " is the folder of another store already, in line 3; give each store its own"
	f(folder, dir+"/other", "")
	f(folder, folder, folder+twice)
	f(folder, folder+"/", folder+"/"+twice)
	f(folder, dir+"/./real/../real", dir+"/./real/../real"+twice)
	f(folder, "real", "real"+twice)
	f(folder, dir+"/link", dir+"/link"+twice)
	f(dir+"/link/new", folder+"/new", folder+"/new"+twice)
	f("new", dir+"/new", dir+"/new"+twice)
	f(folder, "file", "file is not a folder")
	f(folder, "file/x", "file/x: not a directory")
	f(folder, "loop", "loop: EvalSymlinks: too many links")
	f(folder, "''", "")
}

func TestWalkOrder(t *testing.T) {
	tree, _, r := check("store: {pair: {second: {leaf: {name: s}}, first: {leaf: {name: f}}}}")
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	tree.Walk(func(p *compose.Part, depth int) {
		got = append(got, fmt.Sprintf("%d %s %s %s", depth, p.Role, p.Kind, p.Describe()))
	})
	if want := []string{"0 store pair ", "1 first leaf f", "1 second leaf s"}; !slices.Equal(got, want) {
		t.Errorf("walked %q, want %q", got, want)
	}
}
