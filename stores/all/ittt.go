package all

import (
	"context"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/ittt"
)

type itttSpec struct {
	ittt.Options
	this, that *compose.Part
}

func readIttt(n *compose.Node) compose.Spec {
	s := &itttSpec{}
	n.Text("name", &s.Name)
	s.this, s.that = n.Child("this"), n.Child("that")
	return s
}

// Open makes the store.
func (s *itttSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	s.This, s.That = s.this.Store(), s.that.Store()
	return ittt.New(s.Options), nil
}

// Describe implements compose.Describer.
func (s *itttSpec) Describe() string { return named(s.Name, "") }
