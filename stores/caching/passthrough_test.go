package caching_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/noop"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// A cache that fails in any way is no error to a client: blobs pass through, and the fill's buffer goes back with the
// last reader.
func TestCacheThatFails(t *testing.T) {
	full := func(context.Context, blob.Verified, blob.Kind) error { return blob.ErrFull }
	hang := func(ctx context.Context, _ blob.Verified, _ blob.Kind) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for name, c := range map[string]struct {
		cache func() stores.Store
		calm  bool // nothing to count as an error
	}{
		"dead": {func() stores.Store { c := newHooked(); c.kill(); return c }, false},
		"dead for reads": {func() stores.Store {
			c := newHooked()
			c.onGet = func(context.Context, blob.Hash) error { return errDisk }
			return c
		}, false},
		"dead for writes": {func() stores.Store {
			c := newHooked()
			c.onPut = func(context.Context, blob.Verified, blob.Kind) error { return errDisk }
			return c
		}, false},
		"hangs in Put":     {func() stores.Store { c := newHooked(); c.onPut = hang; return c }, false},
		"full":             {func() stores.Store { c := newHooked(); c.onPut = full; return c }, true},
		"keeps nothing":    {func() stores.Store { return noop.New(noop.Options{}) }, true},
		"closed by others": {func() stores.Store { c := mem.New(mem.Options{}); c.Close(); return c }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, origin := overHTTP(t, caching.Options{Cache: c.cache(), MaxFills: 2, AdmitTimeout: 30 * time.Millisecond})
			v := storetest.Blob(t, 1, 300_000)
			origin.Put(v)
			wantMiss(t, s, blob.Hash{1})

			var handles []blob.Handle
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					h, err := s.Get(t.Context(), v.Hash())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					handles = append(handles, h)
					mu.Unlock()
				})
				if name != "dead" {
					wg.Wait() // one after the other, a buffer each
					for _, h := range handles {
						checkAndRelease(t, h, v)
					}
					handles = nil
				}
			}
			wg.Wait()
			if name == "dead" {
				if out := s.Stats().FillBuffers; out < 1 || out > 2 {
					t.Errorf("readers hold %d buffers", out)
				}
			}
			for _, h := range handles {
				checkAndRelease(t, h, v)
			}
			// The last fill may still be busy with the cache: its readers did not have to wait for that.
			eventually(t, "no buffer is out after the last release", func() bool { return s.Stats().FillBuffers == 0 })
			st := s.Stats()
			if st.PassedThrough == 0 {
				t.Error("nothing passed through")
			}
			if calm := st.CacheErrors == 0; calm != c.calm {
				t.Errorf("%d errors of the cache are counted", st.CacheErrors)
			}
			if has, err := s.Has(t.Context(), v.Hash()); !has || err != nil {
				t.Errorf("Has = %v, %v", has, err)
			}
		})
	}
}

func checkAndRelease(t *testing.T, h blob.Handle, v blob.Verified) {
	t.Helper()
	defer h.Release()
	var got bytes.Buffer
	if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), v.Bytes()) {
		t.Errorf("WriteTo: %v, or other bytes", err)
	}
}

// A slow reader of a cached fill holds no buffer of a fill.
func TestReadersOfTheCacheHoldNoBuffer(t *testing.T) {
	s, origin := overHTTP(t, caching.Options{MaxFills: 1})
	var held []blob.Handle
	for i := range 5 {
		v := storetest.Blob(t, uint64(i), 1000)
		origin.Put(v)
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	eventually(t, "no buffer is out", func() bool { return s.Stats().FillBuffers == 0 })
	for _, h := range held {
		h.Release()
	}
}

// A dead disk does not fill the log.
func TestTroubleIsLoggedRarely(t *testing.T) {
	var log lines
	cache := newHooked()
	cache.kill()
	s, origin := overHTTP(t, caching.Options{
		Cache: cache, Logger: slog.New(slog.NewTextHandler(&log, nil)), NegativeTTL: -1,
	})
	v := storetest.Blob(t, 1, 1000)
	origin.Put(v)
	for range 100 {
		wantBytes(t, s, v)
	}
	if n := log.n.Load(); n != 1 {
		t.Errorf("%d lines for %d errors, want 1", n, s.Stats().CacheErrors)
	}
}

// A fill tells the cache what it is: SD blobs are kept longer.
func TestKindOfAFill(t *testing.T) {
	kinds := map[blob.Hash]blob.Kind{}
	cache := newHooked()
	cache.onPut = func(_ context.Context, v blob.Verified, k blob.Kind) error {
		kinds[v.Hash()] = k
		return nil
	}
	s, origin := overHTTP(t, caching.Options{Cache: cache})
	sd, content := storetest.SDBlob(t, 1), storetest.Blob(t, 1, 1000)
	origin.Put(sd)
	origin.Put(content)
	wantBytes(t, s, sd)
	wantBytes(t, s, content)
	if kinds[sd.Hash()] != blob.KindSD || kinds[content.Hash()] != blob.KindContent || len(kinds) != 2 {
		t.Errorf("kinds %v", kinds)
	}
}

// A hit costs a few small allocations and no buffer.
func TestHitIsCheap(t *testing.T) {
	s := newStore(t, caching.Options{Cache: mem.New(mem.Options{}), Origin: mem.New(mem.Options{})})
	v := storetest.Blob(t, 1, blob.MaxSize)
	mustPut(t, s, v)
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
	if st := s.Stats(); st.Hits != hits || st.HitBytes != hits*blob.MaxSize || st.Misses != 0 || st.CacheMbps <= 0 {
		t.Errorf("%+v", st)
	}
}

// Steady misses reuse their buffers.
func TestFillsReuseBuffers(t *testing.T) {
	origin := mem.New(mem.Options{})
	s := newStore(t, caching.Options{Cache: noop.New(noop.Options{}), Origin: origin, MaxFills: 1})
	v := storetest.Blob(t, 1, 1000)
	mustPut(t, origin, v)
	miss := func() {
		wantBytes(t, s, v)
		// Else the next reader would join this fill while it ends.
		eventually(t, "the fill is over", func() bool { return s.Stats().FillBuffers == 0 })
	}
	miss()
	const fills = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range fills {
		miss()
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / fills; n > 64<<10 {
		t.Errorf("a fill allocates %d bytes", n)
	}
	if st := s.Stats(); st.Fills != fills+1 || st.OriginMbps <= 0 {
		t.Errorf("%+v", st)
	}
}

// Readers of what passes through hold no buffer of a fill: with all of theirs taken, the next such blob is busy at once,
// and a blob that the origin lacks is still answered.
func TestSlowReadersLeaveFillsAlone(t *testing.T) {
	s, origin := overHTTP(t, caching.Options{Cache: noop.New(noop.Options{}), MaxFills: 2})
	var held []blob.Handle
	for i := range 2 {
		v := storetest.Blob(t, uint64(i), 100_000)
		origin.Put(v)
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	wantMiss(t, s, blob.Hash{1})
	v := storetest.Blob(t, 9, 100_000)
	origin.Put(v)
	if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrBusy) {
		t.Errorf("a third blob beside two slow readers: %v, want busy", err)
	}
	for _, h := range held {
		h.Release()
	}
	wantBytes(t, s, v)
}
