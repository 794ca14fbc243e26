package compose

import (
	"context"
	"log/slog"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores"
)

// Kind is one kind of store.
type Kind struct {
	// Name is the kind's key in the configuration.
	Name string
	// Read reads the keys of a node, reporting problems into the node's report, and opens nothing. What it returns is
	// used only if there was no problem anywhere.
	Read func(*Node) Spec
}

// Spec is a node that was read, and can be opened.
type Spec interface {
	// Open makes the store. The children's stores are open: Part.Store gives them. The new store owns them from then
	// on; when Open fails, the caller closes them.
	Open(ctx context.Context, env Env) (stores.Store, error)
}

// Describer is a Spec that can say what it holds in a line for a person: a folder, an address, limits. No secrets.
type Describer interface {
	Describe() string
}

// Env is what the program gives to every store.
type Env struct {
	Logger *slog.Logger
}

// Node is the keys of one store while its kind reads them.
type Node struct {
	*yamlnode.Map
	part  *Part
	check *checker
}

// Child reads the store under a key. It is a problem when there is none.
func (n *Node) Child(key string) *Part {
	p, ok := n.OptionalChild(key)
	if !ok {
		n.Report().Errorf(n.Map.Node(), "the key %s is missing; put a kind of store under it, such as disk or http", key)
	}
	return p
}

// OptionalChild reads the store under a key, if the key is there.
func (n *Node) OptionalChild(key string) (*Part, bool) {
	node, ok := n.Value(key)
	if !ok {
		return &Part{Role: key}, false
	}
	p := n.check.read(key, node)
	n.part.Children = append(n.part.Children, p)
	return p, true
}

// ChildOf reads a node, which is the value of a key or an item under it, as a store.
func (n *Node) ChildOf(key string, node *yamlnode.Node) *Part {
	p := n.check.read(key, node)
	n.part.Children = append(n.part.Children, p)
	return p
}

// Directory claims the folder that the value of a key names, for this store alone. It is a problem when another store
// of the tree claims the same one, by whatever name, or when it is there and is no folder.
func (n *Node) Directory(key, path string) {
	at, ok := n.Value(key)
	if !ok || path == "" {
		return
	}
	n.check.claim(at, path)
}
