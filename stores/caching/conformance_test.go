package caching_test

import (
	"log/slog"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/http"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/noop"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// The contract holds whatever the cache is, a dead one and none included.
func TestConformance(t *testing.T) {
	dead := func() stores.Store {
		s := newHooked()
		s.kill()
		s.onDel = nil // Delete cannot promise anything over a cache that does not answer
		return s
	}
	for name, cache := range map[string]func() stores.Store{
		"mem":  func() stores.Store { return mem.New(mem.Options{}) },
		"noop": func() stores.Store { return noop.New(noop.Options{}) },
		"dead": dead,
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Config{Open: func(*testing.T) stores.Store {
				return caching.New(caching.Options{
					Cache: cache(), Origin: mem.New(mem.Options{}), Logger: slog.New(slog.DiscardHandler),
				})
			}})
		})
	}
}

func TestConformanceOverHTTP(t *testing.T) {
	var origin *storetest.Origin
	storetest.Run(t, storetest.Config{
		Open: func(t *testing.T) stores.Store {
			origin = storetest.NewOrigin(t)
			o, err := http.New(http.Options{Endpoint: origin.URL})
			if err != nil {
				t.Fatal(err)
			}
			return caching.New(caching.Options{Cache: mem.New(mem.Options{}), Origin: o, NegativeTTL: -1})
		},
		ReadOnly: true,
		Seed:     func(_ *testing.T, _ stores.Store, v blob.Verified, _ blob.Kind) { origin.Put(v) },
	})
}
