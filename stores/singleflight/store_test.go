package singleflight_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/singleflight"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Config{
		Open: func(*testing.T) stores.Store {
			return singleflight.New(singleflight.Options{Store: mem.New(mem.Options{}), Component: "edge"})
		},
	})
}

// slow is a store whose Gets take a second; it counts them.
type slow struct {
	*mem.Store
	gets, cancelled atomic.Int64
}

func (s *slow) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	s.gets.Add(1)
	handle, err := s.Store.Get(ctx, h)
	select {
	case <-time.After(time.Second):
		return handle, err
	case <-ctx.Done():
		s.cancelled.Add(1)
		if err == nil {
			handle.Release()
		}
		return nil, ctx.Err()
	}
}

func newSlow(t *testing.T) (*slow, *singleflight.Store, blob.Verified) {
	t.Helper()
	child := &slow{Store: mem.New(mem.Options{})}
	v := storetest.Blob(t, 1, 5000)
	if err := child.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	return child, singleflight.New(singleflight.Options{Store: child}), v
}

func closeAndCheck(t *testing.T, child *slow, s *singleflight.Store) {
	t.Helper()
	if st := s.Stats(); st != (singleflight.Stats{}) {
		t.Errorf("left behind: %+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := child.Pinned(); n != 0 {
		t.Errorf("%d handles of the child are pinned", n)
	}
}

func TestJoinsConcurrentGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		child, s, v := newSlow(t)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ctx, tr := blob.WithTrace(t.Context())
				h, err := s.Get(ctx, v.Hash())
				if err != nil {
					t.Error(err)
					return
				}
				defer h.Release()
				var got bytes.Buffer
				if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), v.Bytes()) {
					t.Errorf("WriteTo: %v, or other bytes", err)
				}
				if hops := tr.Hops(); len(hops) != 2 || hops[0].Origin != "mem" || hops[1].Origin != "singleflight" {
					t.Errorf("hops %v", hops)
				}
			})
		}
		synctest.Wait()
		if st := s.Stats(); st.Flights != 1 || st.Waiting != 100 {
			t.Errorf("under way: %+v", st)
		}
		wg.Wait()
		if n := child.gets.Load(); n != 1 {
			t.Errorf("the child saw %d Gets, want 1", n)
		}
		closeAndCheck(t, child, s)
	})
}

func TestLeaderLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		child, s, v := newSlow(t)
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			if _, err := s.Get(short, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("leader: %v", err)
			}
			if took := time.Since(start); took != 100*time.Millisecond {
				t.Errorf("leader left after %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			h, err := s.Get(t.Context(), v.Hash())
			if err != nil {
				t.Errorf("follower: %v", err)
				return
			}
			h.Release()
		})
		wg.Wait()
		if child.gets.Load() != 1 || child.cancelled.Load() != 0 {
			t.Errorf("%d Gets, %d cancelled", child.gets.Load(), child.cancelled.Load())
		}
		closeAndCheck(t, child, s)
	})
}

func TestLastToLeaveCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		child, s, v := newSlow(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := s.Get(ctx, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if n := child.cancelled.Load(); n != 1 {
			t.Errorf("%d Gets of the child were cancelled, want 1", n)
		}
		closeAndCheck(t, child, s)
	})
}

// A Get that begins after a Delete must not join a Get from before it.
func TestDeletePartsFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		child, s, v := newSlow(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			h, err := s.Get(t.Context(), v.Hash())
			if err != nil {
				t.Errorf("before Delete: %v", err)
				return
			}
			h.Release()
		})
		synctest.Wait()
		if err := s.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("after Delete: %v", err)
		}
		wg.Wait()
		closeAndCheck(t, child, s)
	})
}

func TestCloseEndsFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		child, s, v := newSlow(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("under Close: %v", err)
			}
		})
		synctest.Wait()
		closed := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(closed); took != 0 {
			t.Errorf("Close took %v", took)
		}
		wg.Wait()
		if n := child.Pinned(); n != 0 {
			t.Errorf("%d handles of the child are pinned", n)
		}
	})
}
