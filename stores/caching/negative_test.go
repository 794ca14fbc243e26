package caching_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// overHooked makes a store whose cache and origin a test can bend.
func overHooked(t *testing.T, o caching.Options) (s *caching.Store, cache, origin *hooked) {
	t.Helper()
	cache, origin = newHooked(), newHooked()
	o.Cache, o.Origin = cache, origin
	return newStore(t, o), cache, origin
}

// Bad input 22: the same missing hash, again and again, asks the origin once per life of the answer.
func TestMissesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, origin := overHooked(t, caching.Options{NegativeTTL: 3 * time.Second})
		defer checkIdle(t, s)
		missing := blob.Hash{1}
		for range 10_000 {
			wantMiss(t, s, missing)
		}
		if has, err := s.Has(t.Context(), missing); has || err != nil {
			t.Errorf("Has = %v, %v", has, err)
		}
		if gets, hases := origin.gets.Load(), origin.hases.Load(); gets != 1 || hases != 0 {
			t.Errorf("the origin saw %d Gets, %d Has", gets, hases)
		}
		if n := s.Stats().NegativeHits; n != 10_000 {
			t.Errorf("%d negative hits", n)
		}
		time.Sleep(3*time.Second - time.Nanosecond)
		wantMiss(t, s, missing)
		if n := origin.gets.Load(); n != 1 {
			t.Errorf("the answer lived less than 3 s: %d Gets", n)
		}
		time.Sleep(time.Nanosecond)
		wantMiss(t, s, missing)
		if n := origin.gets.Load(); n != 2 {
			t.Errorf("the answer lived longer than 3 s: %d Gets", n)
		}
	})
}

// Has fills the memory too, and its answers come from it.
func TestHasRemembers(t *testing.T) {
	s, _, origin := overHooked(t, caching.Options{})
	for range 5 {
		if has, err := s.Has(t.Context(), blob.Hash{1}); has || err != nil {
			t.Errorf("Has = %v, %v", has, err)
		}
	}
	wantMiss(t, s, blob.Hash{1})
	if gets, hases := origin.gets.Load(), origin.hases.Load(); gets != 0 || hases != 1 {
		t.Errorf("the origin saw %d Gets, %d Has", gets, hases)
	}
}

func TestNegativeOff(t *testing.T) {
	s, _, origin := overHooked(t, caching.Options{NegativeTTL: -1})
	for range 3 {
		wantMiss(t, s, blob.Hash{1})
	}
	if n := origin.gets.Load(); n != 3 {
		t.Errorf("%d Gets", n)
	}
}

// Errors are not remembered.
func TestErrorsAreNotRemembered(t *testing.T) {
	s, _, origin := overHooked(t, caching.Options{})
	origin.onGet = func(context.Context, blob.Hash) error { return errDisk }
	origin.onHas = origin.onGet
	v := storetest.Blob(t, 1, 100)
	for range 2 {
		if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
		if _, err := s.Has(t.Context(), v.Hash()); !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("Has: %v", err)
		}
	}
	origin.onGet, origin.onHas = nil, nil
	mustPut(t, origin, v)
	wantBytes(t, s, v)
}

// A Put makes the blob visible at once, even where the cache does not take it.
func TestPutClearsTheMemory(t *testing.T) {
	s, cache, _ := overHooked(t, caching.Options{NegativeTTL: time.Hour})
	cache.kill()
	v := storetest.Blob(t, 1, 100)
	wantMiss(t, s, v.Hash())
	mustPut(t, s, v)
	wantBytes(t, s, v)
	if has, err := s.Has(t.Context(), v.Hash()); !has || err != nil {
		t.Errorf("Has = %v, %v", has, err)
	}
}

// An answer that was on its way when the Put came is not remembered, by fill and by Has, nor joined after it.
func TestPutDuringAMiss(t *testing.T) {
	s, cache, origin := overHooked(t, caching.Options{NegativeTTL: time.Hour})
	cache.kill() // or the cache would answer, and the memory would not be asked
	v := storetest.Blob(t, 1, 100)
	reached, gate := origin.holdFirstGet()
	var wg sync.WaitGroup
	wg.Go(func() { wantMiss(t, s, v.Hash()) })
	<-reached
	mustPut(t, s, v)
	wantBytes(t, s, v) // not joined: the first fill still hangs
	close(gate)
	wg.Wait()
	wantBytes(t, s, v) // not remembered
}

// Bad input 21: any number of missing hashes holds a bounded memory, and look-ups allocate nothing.
func TestMemoryOfMissesIsBounded(t *testing.T) {
	s, _, _ := overHooked(t, caching.Options{NegativeTTL: time.Hour})
	name := func(i int) (h blob.Hash) {
		binary.LittleEndian.PutUint64(h[:], uint64(i))
		return h
	}
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			if has, err := s.Has(t.Context(), name(i)); has || err != nil {
				t.Fatalf("Has = %v, %v", has, err)
			}
		}
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	empty := heap()
	ask(0, 100_000)
	full := heap() - empty
	ask(100_000, 200_000)
	if more := heap() - empty; more > full+full/2 || more > 32<<20 {
		t.Errorf("100,000 missing hashes hold %d bytes, 200,000 hold %d", full, more)
	}
	// The youngest are remembered, the oldest are not.
	before := s.Stats().NegativeHits
	ask(199_000, 200_000)
	if n := s.Stats().NegativeHits - before; n != 1000 {
		t.Errorf("%d of the last 1,000 are remembered", n)
	}
	before = s.Stats().NegativeHits
	ask(0, 1000)
	if n := s.Stats().NegativeHits - before; n != 0 {
		t.Errorf("%d of the first 1,000 are remembered", n)
	}
	if n := testing.AllocsPerRun(1000, func() { ask(199_999, 200_000) }); n != 0 {
		t.Errorf("a look-up makes %v allocations", n)
	}
}

// What was fetched before a Delete is neither admitted nor joined after it.
func TestDeleteDuringAFill(t *testing.T) {
	s, cache, origin := overHooked(t, caching.Options{NegativeTTL: -1})
	v := storetest.Blob(t, 1, 100)
	mustPut(t, origin, v)
	reached, gate := origin.holdFirstGet()
	var wg sync.WaitGroup
	wg.Go(func() { wantBytes(t, s, v) }) // it came before the Delete
	<-reached
	if err := s.Delete(t.Context(), v.Hash()); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, s, v.Hash())
	close(gate)
	wg.Wait()
	wantMiss(t, s, v.Hash())
	if n := cache.puts.Load(); n != 0 {
		t.Errorf("%d admissions", n)
	}
}

// A Delete waits for an admission that has begun, as long as its context lets it.
func TestDeleteDuringAnAdmission(t *testing.T) {
	s, cache, origin := overHooked(t, caching.Options{NegativeTTL: -1})
	v := storetest.Blob(t, 1, 100)
	mustPut(t, origin, v)
	reached, gate := make(chan struct{}, 1), make(chan struct{})
	cache.onPut = func(context.Context, blob.Verified, blob.Kind) error {
		reached <- struct{}{}
		<-gate
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { wantBytes(t, s, v) })
	<-reached
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Delete(short, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Delete that cannot wait: %v", err)
	}
	deleted := make(chan error, 1)
	go func() { deleted <- s.Delete(t.Context(), v.Hash()) }()
	select {
	case err := <-deleted:
		t.Errorf("Delete did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(gate)
	if err := <-deleted; err != nil {
		t.Error(err)
	}
	wg.Wait()
	wantMiss(t, s, v.Hash())
}

// Put writes the origin first; what the origin refuses is not cached. Errors of the cache are not errors of Put.
func TestPutGoesToTheOriginFirst(t *testing.T) {
	s, cache, origin := overHooked(t, caching.Options{})
	v := storetest.Blob(t, 1, 100)
	refused := errors.New("refused")
	origin.onPut = func(context.Context, blob.Verified, blob.Kind) error {
		if cache.puts.Load() != 0 {
			t.Error("the cache was written first")
		}
		return refused
	}
	if err := s.Put(t.Context(), v, blob.KindContent); !errors.Is(err, refused) {
		t.Errorf("Put: %v", err)
	}
	if cache.puts.Load() != 0 {
		t.Error("what the origin refused was cached")
	}
	origin.onPut = nil
	cache.kill()
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Errorf("Put over a dead cache: %v", err)
	}
	if has, err := origin.Has(t.Context(), v.Hash()); !has || err != nil {
		t.Errorf("the origin has it: %v, %v", has, err)
	}
}

// Over an origin that is read-only, Put fails and Delete still clears the cache, and says that it was not all.
func TestReadOnlyOrigin(t *testing.T) {
	s, origin := overHTTP(t, caching.Options{})
	v := storetest.Blob(t, 1, 100)
	if err := s.Put(t.Context(), v, blob.KindContent); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Put: %v", err)
	}
	origin.Put(v)
	wantBytes(t, s, v)
	if err := s.Delete(t.Context(), v.Hash()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Delete: %v", err)
	}
	if n := s.Cache().(*mem.Store).Stats().Blobs; n != 0 {
		t.Errorf("%d blobs are cached", n)
	}
}
