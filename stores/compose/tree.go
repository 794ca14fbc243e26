package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores"
)

// Tree is a checked tree of stores. It is not safe for concurrent use while it opens or closes.
type Tree struct {
	Root *Part
}

// Part is one store of a tree.
type Part struct {
	Kind     string         // its kind
	Role     string         // the key under which its parent holds it; "store" for the root
	At       *yamlnode.Node // where it is written
	Children []*Part

	spec  Spec
	store stores.Store
}

// Store is the open store; nil before Tree.Open has come to it.
func (p *Part) Store() stores.Store { return p.store }

// Spec is what the store's kind has read.
func (p *Part) Spec() Spec { return p.spec }

// Describe says what the store holds, if its kind can say.
func (p *Part) Describe() string {
	if d, ok := p.spec.(Describer); ok {
		return d.Describe()
	}
	return ""
}

// Open opens the whole tree, leaves first, or nothing of it. It may be called once.
func (t *Tree) Open(ctx context.Context, env Env) error { return t.Root.open(ctx, env) }

// Store is the store at the root.
func (t *Tree) Store() stores.Store { return t.Root.store }

// Close closes the tree; each store closes those under it.
func (t *Tree) Close() error { return t.Root.store.Close() }

// Walk calls fn for each part, parents before their children, in the order of the file.
func (t *Tree) Walk(fn func(p *Part, depth int)) { t.Root.walk(fn, 0) }

func (p *Part) walk(fn func(*Part, int), depth int) {
	fn(p, depth)
	for _, c := range p.Children {
		c.walk(fn, depth+1)
	}
}

// open opens the children and then p. When it returns an error nothing under p is open.
func (p *Part) open(ctx context.Context, env Env) error {
	for i, c := range p.Children {
		if err := c.open(ctx, env); err != nil {
			return errors.Join(err, closeParts(p.Children[:i]))
		}
	}
	store, err := p.spec.Open(ctx, env)
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", p.At.Position(), p.At.Path(), err)
		return errors.Join(err, closeParts(p.Children))
	}
	p.store = store
	return nil
}

// closeParts closes parts that were opened, the last one first.
func closeParts(parts []*Part) error {
	var errs []error
	for i := len(parts) - 1; i >= 0; i-- {
		if err := parts[i].store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: close: %w", parts[i].At.Path(), err))
		}
		parts[i].store = nil
	}
	return errors.Join(errs...)
}

// Print writes the tree for a person, a line a store.
func (t *Tree) Print(w io.Writer) error {
	var out strings.Builder
	t.Walk(func(p *Part, depth int) {
		fmt.Fprintf(&out, "%s%s: %s", strings.Repeat("  ", depth), p.Role, p.Kind)
		if d := p.Describe(); d != "" {
			out.WriteString(" " + d)
		}
		out.WriteByte('\n')
	})
	_, err := io.WriteString(w, out.String())
	return err
}
