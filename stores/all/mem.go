package all

import (
	"context"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/noop"
)

type memSpec struct{ mem.Options }

func readMem(n *compose.Node) compose.Spec {
	s := &memSpec{}
	n.Text("name", &s.Name)
	return s
}

// Open makes the store.
func (s *memSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	return mem.New(s.Options), nil
}

// Describe implements compose.Describer.
func (s *memSpec) Describe() string { return named(s.Name, "") }

type noopSpec struct{ noop.Options }

func readNoop(n *compose.Node) compose.Spec {
	s := &noopSpec{}
	n.Text("name", &s.Name)
	return s
}

// Open makes the store.
func (s *noopSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	return noop.New(s.Options), nil
}

// Describe implements compose.Describer.
func (s *noopSpec) Describe() string { return named(s.Name, "") }
