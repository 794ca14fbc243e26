package all

import (
	"context"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/singleflight"
)

type singleflightSpec struct {
	singleflight.Options
	child *compose.Part
}

func readSingleflight(n *compose.Node) compose.Spec {
	s := &singleflightSpec{child: n.Child("store")}
	n.Text("component", &s.Component)
	n.NoEffect("name", "component names it")
	return s
}

// Open makes the store.
func (s *singleflightSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	s.Store = s.child.Store()
	return singleflight.New(s.Options), nil
}

// Describe implements compose.Describer.
func (s *singleflightSpec) Describe() string { return named(s.Component, "") }
