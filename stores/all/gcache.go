package all

import (
	"context"
	"fmt"
	"math"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/gcache"
)

type gcacheSpec struct {
	gcache.Options
	child *compose.Part
}

func readGcache(n *compose.Node) compose.Spec {
	s := &gcacheSpec{child: n.Child("store")}
	n.Text("name", &s.Name)
	n.Require("max_size", "it is the number of blobs to keep, such as 500")
	n.Int("max_size", &s.MaxSize, 1, math.MaxInt32)
	strategy := int(s.Strategy)
	n.Int("strategy", &strategy, int(gcache.LFU), int(gcache.Simple))
	s.Strategy = gcache.Strategy(strategy)
	return s
}

// Open makes the store.
func (s *gcacheSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	s.Store = s.child.Store()
	store, err := gcache.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *gcacheSpec) Describe() string {
	return named(s.Name, fmt.Sprintf("%d blobs", s.MaxSize))
}
