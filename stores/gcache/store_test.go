package gcache_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/gcache"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

var strategies = map[string]gcache.Strategy{
	"lfu": gcache.LFU, "arc": gcache.ARC, "lru": gcache.LRU, "simple": gcache.Simple,
}

func open(t *testing.T, strategy gcache.Strategy, size int) (*gcache.Store, *mem.Store) {
	t.Helper()
	child := mem.New(mem.Options{})
	s, err := gcache.New(gcache.Options{Store: child, MaxSize: size, Strategy: strategy})
	if err != nil {
		t.Fatal(err)
	}
	return s, child
}

// Two blobs of room: the suite runs through eviction everywhere. One strategy of ours and one of the library's; the
// others differ from them only in the order of eviction, which TestBoundHolds and TestStrategies cover.
func TestConformance(t *testing.T) {
	for _, name := range []string{"lfu", "arc"} {
		strategy := strategies[name]
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Config{Open: func(t *testing.T) stores.Store {
				s, _ := open(t, strategy, 2)
				return s
			}})
		})
	}
}

func TestOptions(t *testing.T) {
	child := mem.New(mem.Options{})
	defer child.Close()
	for _, o := range []gcache.Options{
		{Store: child, MaxSize: 0}, {Store: child, MaxSize: -1},
		{Store: child, MaxSize: 1, Strategy: 4}, {Store: child, MaxSize: 1, Strategy: -1},
	} {
		if _, err := gcache.New(o); err == nil {
			t.Errorf("New(%d blobs, strategy %d) succeeded", o.MaxSize, o.Strategy)
		}
	}
}

// use gets blob number i.
func use(t *testing.T, s stores.Store, i int) {
	t.Helper()
	h, err := s.Get(t.Context(), storetest.Blob(t, uint64(i), 100).Hash())
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
}

// Which blobs are in memory shows in the hits after the blobs are gone from the child.
func TestStrategies(t *testing.T) {
	f := func(strategy gcache.Strategy, uses []int, want ...int) {
		t.Helper()
		s, child := open(t, strategy, 3)
		defer s.Close()
		for i := range 10 {
			if err := child.Put(t.Context(), storetest.Blob(t, uint64(i), 100), blob.KindContent); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range uses {
			use(t, s, i)
		}
		var kept []int
		for i := range 10 {
			h := storetest.Blob(t, uint64(i), 100).Hash()
			if err := child.Delete(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			if has, err := s.Has(t.Context(), h); err != nil {
				t.Fatal(err)
			} else if has {
				kept = append(kept, i)
			}
		}
		if !slices.Equal(kept, want) {
			t.Errorf("strategy %d after %v keeps %v, want %v", strategy, uses, kept, want)
		}
	}
	f(gcache.LRU, []int{1, 2, 3, 1, 4}, 1, 3, 4)
	f(gcache.Simple, []int{1, 2, 3, 1, 4}, 2, 3, 4)
	f(gcache.LFU, []int{1, 1, 1, 2, 2, 3, 4}, 1, 2, 4)
	f(gcache.LFU, []int{1, 2, 3, 3, 2, 4}, 2, 3, 4)       // of the once used, 1 was unused for longest
	f(gcache.LFU, []int{1, 1, 2, 2, 3, 3, 4, 5}, 2, 3, 5) // 1 leaves for 4, 4 for 5
	f(gcache.LFU, []int{1, 2, 3, 4, 5, 6, 4, 7}, 4, 6, 7) // 5 is the oldest of the once used
	f(gcache.ARC, []int{1, 1, 2, 2, 3, 4, 5, 6}, 1, 2, 6) // a scan does not flush what is used often
	f(gcache.LRU, []int{1, 1, 2, 2, 3, 4, 5, 6}, 4, 5, 6) // where LRU is flushed
	f(gcache.LFU, []int{1, 1, 1, 1, 2, 3, 4, 5}, 1, 4, 5) // 1 stays on top of a gap
	f(gcache.LFU, []int{0, 1, 2, 2, 1, 0, 0, 3}, 0, 1, 3) // 2 and 1 tie; 2 is unused for longer
}

// Random calls against the simplest model: what is answered is right, and the bound holds.
func TestBoundHolds(t *testing.T) {
	for name, strategy := range strategies {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t, strategy, 4)
			defer s.Close()
			rng := rand.New(rand.NewPCG(1, uint64(strategy)))
			there := map[int]bool{}
			for range 3000 {
				i := rng.IntN(12)
				v := storetest.Blob(t, uint64(i), 10)
				switch rng.IntN(6) {
				case 0:
					if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
						t.Fatal(err)
					}
					there[i] = true
				case 1:
					if err := s.Delete(t.Context(), v.Hash()); err != nil {
						t.Fatal(err)
					}
					delete(there, i)
				default:
					h, err := s.Get(t.Context(), v.Hash())
					if (err == nil) != there[i] || err != nil && !errors.Is(err, blob.ErrNotFound) {
						t.Fatalf("Get: %v, the model has it: %v", err, there[i])
					}
					if err == nil {
						h.Release()
					}
				}
				if st := s.Stats(); st.Blobs > 4 || st.Evicted > 3000 {
					t.Fatalf("%+v", st)
				}
			}
			if st := s.Stats(); st.Evicted == 0 || st.Hits == 0 || st.Misses == 0 {
				t.Errorf("nothing happened: %+v", st)
			}
		})
	}
}

// A hit allocates its handle and no more; above all no body.
func TestHitDoesNotAllocateABody(t *testing.T) {
	s, _ := open(t, gcache.LFU, 2)
	defer s.Close()
	v := storetest.Blob(t, 1, blob.MaxSize)
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	const hits = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range hits {
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		h.Release()
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / hits; n > 256 {
		t.Errorf("a hit allocates %d bytes", n)
	}
}

// gate is a child whose Get waits after it has read.
type gate struct {
	*mem.Store
	reached, open chan struct{}
}

func (g *gate) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	handle, err := g.Store.Get(ctx, h)
	g.reached <- struct{}{}
	<-g.open
	return handle, err
}

// What was read before a Delete is not cached after it.
func TestDeleteDuringAMiss(t *testing.T) {
	child := &gate{Store: mem.New(mem.Options{}), reached: make(chan struct{}), open: make(chan struct{})}
	s, err := gcache.New(gcache.Options{Store: child, MaxSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := storetest.Blob(t, 1, 100)
	if err := child.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		h, err := s.Get(t.Context(), v.Hash())
		if err == nil {
			h.Release()
		}
		got <- err
	}()
	<-child.reached
	if err := s.Delete(t.Context(), v.Hash()); err != nil {
		t.Fatal(err)
	}
	close(child.open)
	if err := <-got; err != nil {
		t.Errorf("the Get that came first: %v", err)
	}
	if has, err := s.Has(t.Context(), v.Hash()); has || err != nil {
		t.Errorf("Has after Delete = %v, %v", has, err)
	}
}

func TestOpenGivesTheBytes(t *testing.T) {
	s, child := open(t, gcache.LRU, 2)
	defer s.Close()
	v := storetest.Blob(t, 1, 70_000)
	if err := child.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		st, err := s.Open(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		got, err := st.Collect(make([]byte, st.Size()), nil)
		if err != nil || !bytes.Equal(got.Bytes(), v.Bytes()) {
			t.Errorf("Collect: %v, or other bytes", err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := s.Pinned(); n != 0 {
		t.Errorf("%d handles are pinned", n)
	}
	if st := s.Stats(); st.Hits != 1 || st.Misses != 1 {
		t.Errorf("%+v", st)
	}
	if _, err := s.Open(t.Context(), blob.Hash{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open of a missing blob: %v", err)
	}
}
