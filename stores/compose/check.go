package compose

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

// Check reads a tree of stores without opening anything. Problems go into the report; the Tree is nil when that has any,
// those included that were there before.
func Check(kinds []Kind, node *yamlnode.Node, r *yamlnode.Report) *Tree {
	c := &checker{kinds: kinds, report: &yamlnode.Report{}}
	root := c.read("store", node)
	r.Add(c.report)
	if !r.OK() { // a value may have been found broken before anybody wanted it
		return nil
	}
	return &Tree{Root: root}
}

type checker struct {
	kinds  []Kind
	report *yamlnode.Report
	dirs   []claim
}

// claim is a folder that one store has for itself.
type claim struct {
	at   *yamlnode.Node
	path string      // absolute, without symbolic links as far as it exists
	info os.FileInfo // nil when it does not exist
}

// read finds the one kind in a node and lets it read its keys. The Part is never nil.
func (c *checker) read(role string, node *yamlnode.Node) *Part {
	p := &Part{Role: role, At: node}
	m := node.Map(c.report)
	kind, at := c.kindOf(m)
	if kind == nil {
		return p
	}
	p.Kind = kind.Name
	value, _ := m.Value(at)
	p.At = m.Key(at)
	n := &Node{Map: value.Map(c.report), part: p, check: c}
	p.spec = kind.Read(n)
	n.Done()
	return p
}

// kindOf is the kind that a node names, and the key that names it.
func (c *checker) kindOf(m *yamlnode.Map) (*Kind, string) {
	var found *Kind
	keys := slices.Compact(slices.Sorted(slices.Values(m.Keys())))
	for _, key := range keys {
		i := slices.IndexFunc(c.kinds, func(k Kind) bool { return strings.EqualFold(k.Name, key) })
		switch {
		case i < 0:
			c.unknown(m.Key(key), key)
		case found != nil:
			c.report.Errorf(m.Key(key), "a second kind of store in one place, beside %s; keep one", found.Name)
		default:
			found = &c.kinds[i]
		}
	}
	if len(keys) == 0 {
		c.report.Errorf(m.Node(), "there is no store here; name one of %s, with its keys under it", strings.Join(c.names(), ", "))
	}
	if found == nil {
		return nil, ""
	}
	return found, found.Name
}

func (c *checker) unknown(at *yamlnode.Node, key string) {
	if near, ok := yamlnode.Nearest(key, c.names()); ok {
		c.report.Errorf(at, "unknown kind of store; did you mean %s?", near)
		return
	}
	c.report.Errorf(at, "unknown kind of store; known are %s", strings.Join(c.names(), ", "))
}

func (c *checker) names() []string {
	var names []string
	for _, k := range c.kinds {
		names = append(names, k.Name)
	}
	return names
}

// claim gives a folder to one store.
func (c *checker) claim(at *yamlnode.Node, path string) {
	target, info, err := resolve(path)
	switch {
	case err != nil:
		c.report.Errorf(at, "%s: %s", path, err)
		return
	case info != nil && !info.IsDir():
		c.report.Errorf(at, "%s is not a folder", path)
		return
	}
	for _, other := range c.dirs {
		if other.path == target || info != nil && other.info != nil && os.SameFile(other.info, info) {
			c.report.Errorf(at, "%s is the folder of another store already, in line %d; give each store its own",
				path, other.at.Position().Line)
			return
		}
	}
	c.dirs = append(c.dirs, claim{at: at, path: target, info: info})
}

// resolve is the absolute path without symbolic links, as far as the path exists, and what is there.
func resolve(path string) (string, os.FileInfo, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	rest := ""
	for dir := abs; ; dir = filepath.Dir(dir) {
		target, err := filepath.EvalSymlinks(dir)
		if err == nil {
			target = filepath.Join(target, rest)
			if rest != "" {
				return target, nil, nil
			}
			info, err := os.Stat(target)
			return target, info, err
		}
		if !os.IsNotExist(err) || dir == filepath.Dir(dir) {
			return "", nil, err
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
