package all

import (
	"context"
	"time"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/compose"
)

type cachingSpec struct {
	caching.Options
	cache, origin *compose.Part
}

func readCaching(n *compose.Node) compose.Spec {
	s := &cachingSpec{}
	n.Text("name", &s.Component)
	ttl := time.Duration(0)
	if n.Duration("negative_ttl", &ttl, 0) {
		s.NegativeTTL = ttl
		if ttl == 0 {
			s.NegativeTTL = -1 // 0 would be the default
		}
	}
	s.cache, s.origin = n.Child("cache"), n.Child("origin")
	return s
}

// Open makes the store.
func (s *cachingSpec) Open(_ context.Context, env compose.Env) (stores.Store, error) {
	s.Cache, s.Origin, s.Logger = s.cache.Store(), s.origin.Store(), env.Logger
	return caching.New(s.Options), nil
}

// Describe implements compose.Describer.
func (s *cachingSpec) Describe() string {
	switch {
	case s.NegativeTTL < 0:
		return named(s.Component, "no negative answers kept")
	case s.NegativeTTL > 0:
		return named(s.Component, "negative answers kept "+s.NegativeTTL.String())
	}
	return named(s.Component, "")
}
