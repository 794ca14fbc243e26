package metrics

import (
	"strings"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/gcache"
	"github.com/OdyseeTeam/prism/stores/ittt"
)

// totals are sums over the tree, for the series of older servers, which do not tell all stores apart.
type totals struct {
	in     map[string]uint64 // bytes of blobs that came from other servers, by the kind of store
	ittt   map[string]int64  // blobs, by the name of the store that gave them
	s3Out  int64
	caches map[cacheKey]*cacheTotals
}

// cacheKey is the labels of a cache.
type cacheKey struct{ cacheType, component string }

type cacheTotals struct {
	hits, misses, evicted, origin, waiting int64
	cacheMbps, originMbps                  float64
}

// addCaching adds a cache over an origin.
func (t *totals) addCaching(p *compose.Part, store *caching.Store) {
	st := store.Stats()
	key := cacheKey{component: store.Component()}
	for _, c := range p.Children {
		if c.Role == "cache" {
			key.cacheType = cacheType(c.Kind, c.Store().Name())
		}
	}
	sum := t.caches[key]
	if sum == nil {
		sum = &cacheTotals{}
		t.caches[key] = sum
	}
	sum.hits += st.Hits
	sum.misses += st.Misses
	sum.evicted += evicted(store.Cache())
	sum.origin += st.OriginInFlight
	sum.waiting += st.Waiting
	sum.cacheMbps, sum.originMbps = st.CacheMbps, st.OriginMbps
}

// addITTT adds what the two stores of an ittt have given. Stores that have one name are one origin.
func (t *totals) addITTT(origins [2]ittt.Hits) {
	for _, o := range origins {
		t.ittt[o.Origin] += o.Hits
	}
}

// cacheType is the name that a cache has in series: sf_<kind>-<name>, with the dash where there is no name too.
func cacheType(kind, name string) string {
	return "sf_" + kind + "-" + strings.TrimPrefix(strings.TrimPrefix(name, kind), "-")
}

// evicted is how many blobs a cache has evicted, if it does.
func evicted(cache stores.Store) int64 {
	if d, ok := stores.As[*disk.Store](cache); ok {
		return d.Stats().Evicted
	}
	if g, ok := stores.As[*gcache.Store](cache); ok {
		return int64(g.Stats().Evicted)
	}
	return 0
}
