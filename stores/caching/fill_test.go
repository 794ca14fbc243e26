package caching_test

import (
	"bytes"
	"context"
	"errors"
	nethttp "net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/http"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// Bad inputs 21 and 24, through the whole of a fill: an origin's bad answer is an error or a miss to every waiter, the
// cache stays empty, and nothing is left behind.
func TestOriginFaults(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	for _, fault := range storetest.Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			origin := storetest.NewOrigin(t)
			from, err := http.New(http.Options{
				Endpoint: origin.URL, HeaderTimeout: 400 * time.Millisecond, IdleTimeout: 400 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			cache := mem.New(mem.Options{})
			s := newStore(t, caching.Options{Cache: cache, Origin: from, NegativeTTL: -1, MaxFills: 1})
			v := storetest.Blob(t, 1, 300_000)
			origin.Answer(fault.Handler(v))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					data, err := read(t.Context(), s, v.Hash())
					if err == nil {
						t.Errorf("%d bytes were taken", len(data))
						return
					}
					if missing := errors.Is(err, blob.ErrNotFound); missing != fault.Missing {
						t.Errorf("missing = %v, want %v: %v", missing, fault.Missing, err)
					}
				})
			}
			wg.Wait()
			st := s.Stats()
			if cache.Stats().Blobs != 0 || st.FillBuffers != 0 || st.FilledBytes != 0 {
				t.Errorf("left behind: %d blobs, %d buffers, %d bytes", cache.Stats().Blobs, st.FillBuffers, st.FilledBytes)
			}
			failed := int64(0)
			for _, n := range st.FillErrors {
				failed += n
			}
			if fault.Missing && (failed != 0 || st.OriginMisses == 0) || !fault.Missing && (failed == 0 || st.OriginMisses != 0) {
				t.Errorf("counted: %+v", st)
			}
			origin.Answer(nil)
			origin.Put(v)
			wantBytes(t, s, v)
			eventually(t, "a good fill is admitted", func() bool { return cache.Stats().Blobs == 1 })
		})
	}
}

// Bad input 22 and the promise behind it: any number of waiters is one request.
func TestThousandWaitersAreOneRequest(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	const waiters = 1000
	for _, there := range []bool{true, false} {
		s, origin := overHTTP(t, caching.Options{})
		v := storetest.Blob(t, 1, blob.MaxSize)
		gate := make(chan struct{})
		origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			<-gate
			if !there {
				nethttp.NotFound(w, r)
				return
			}
			_, _ = w.Write(v.Bytes())
		})
		var wg sync.WaitGroup
		for range waiters {
			wg.Go(func() {
				handle, err := s.Get(t.Context(), v.Hash())
				if !there {
					if !errors.Is(err, blob.ErrNotFound) {
						t.Errorf("Get: %v", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				defer handle.Release()
				got := make([]byte, 100)
				if _, err := handle.ReadAt(got, 1<<20); err != nil || !bytes.Equal(got, v.Bytes()[1<<20:1<<20+100]) {
					t.Errorf("ReadAt: %v, or other bytes", err)
				}
			})
		}
		eventually(t, "all wait for a request that is under way", func() bool {
			st := s.Stats()
			return st.Waiting == waiters && st.OriginInFlight > 0 && st.FillBuffers > 0
		})
		if st := s.Stats(); st.OriginInFlight != 1 || st.FillBuffers != 1 {
			t.Errorf("%d in flight, %d buffers, want 1 and 1", st.OriginInFlight, st.FillBuffers)
		}
		close(gate)
		wg.Wait()
		if n := origin.Gets(); n != 1 {
			t.Errorf("there = %v: the origin saw %d requests, want 1", there, n)
		}
		if st := s.Stats(); st.Fills != 1 || st.Misses != waiters || there && st.FilledBytes != blob.MaxSize {
			t.Errorf("%+v", st)
		}
	}
}

// Requests that come while fills begin and end never make more than one request to the origin either.
func TestOneRequestUnderChurn(t *testing.T) {
	s, origin := overHTTP(t, caching.Options{})
	var wg sync.WaitGroup
	const blobs = 20
	for i := range blobs {
		v := storetest.Blob(t, uint64(i), 3000)
		origin.Put(v)
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if got, err := read(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(got, v.Bytes()) {
						t.Errorf("%v, or other bytes", err)
					}
				}
			})
		}
	}
	wg.Wait()
	if n := origin.Gets(); n != blobs {
		t.Errorf("%d requests for %d blobs", n, blobs)
	}
}

// Each waiter has a deadline of its own. Those who leave take nobody with them, and the fill goes on even when all
// have left.
func TestWaitersLeaveAlone(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	s, origin := overHTTP(t, caching.Options{})
	v := storetest.Blob(t, 1, 300_000)
	gate := make(chan struct{})
	origin.Answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_, _ = w.Write(v.Bytes()[:1000])
		w.(nethttp.Flusher).Flush()
		<-gate
		_, _ = w.Write(v.Bytes()[1000:])
	})
	var impatient, patient sync.WaitGroup
	leader, cancelLeader := context.WithCancel(t.Context())
	impatient.Go(func() {
		if _, err := s.Get(leader, v.Hash()); !errors.Is(err, context.Canceled) || errors.Is(err, blob.ErrBusy) {
			t.Errorf("leader: %v", err)
		}
	})
	eventually(t, "the origin is asked", func() bool { return origin.Running() == 1 })
	for range 10 {
		impatient.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := s.Get(ctx, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("impatient: %v", err)
			}
		})
		patient.Go(func() { wantBytes(t, s, v) })
	}
	eventually(t, "all wait", func() bool { return s.Stats().Waiting == 21 })
	cancelLeader()
	impatient.Wait()
	close(gate)
	patient.Wait()
	if n := origin.Gets(); n != 1 {
		t.Errorf("%d requests", n)
	}

	gate = make(chan struct{})
	w := storetest.Blob(t, 2, 5000)
	origin.Answer(func(rw nethttp.ResponseWriter, _ *nethttp.Request) {
		<-gate
		_, _ = rw.Write(w.Bytes())
	})
	ctx, cancel := context.WithCancel(t.Context())
	impatient.Go(func() {
		if _, err := s.Get(ctx, w.Hash()); !errors.Is(err, context.Canceled) {
			t.Errorf("the only one: %v", err)
		}
	})
	eventually(t, "the origin is asked", func() bool { return origin.Running() == 1 })
	cancel()
	impatient.Wait()
	close(gate)
	eventually(t, "the fill that all have left is admitted", func() bool {
		has, err := s.Cache().Has(t.Context(), w.Hash())
		return has && err == nil
	})
}

// When every fill is taken, a waiter queues until its context ends and is then told that the server is busy; a fill
// that all have left in the queue never reaches the origin.
func TestQueueForFills(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	s, origin := overHTTP(t, caching.Options{MaxFills: 1})
	one, two, three := storetest.Blob(t, 1, 1000), storetest.Blob(t, 2, 1000), storetest.Blob(t, 3, 1000)
	for _, v := range []blob.Verified{one, two, three} {
		origin.Put(v)
	}
	gate := make(chan struct{})
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		<-gate
		origin.Answer(nil)
		origin.ServeHTTP(w, r)
	})
	var wg sync.WaitGroup
	wg.Go(func() { wantBytes(t, s, one) })
	eventually(t, "the origin is asked", func() bool { return s.Stats().OriginInFlight == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, two.Hash()); !errors.Is(err, blob.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in the queue: %v", err)
	}
	wg.Go(func() { wantBytes(t, s, three) })
	eventually(t, "two wait", func() bool { return s.Stats().Waiting == 2 })
	close(gate)
	wg.Wait()
	if has, err := s.Cache().Has(t.Context(), two.Hash()); has || err != nil {
		t.Errorf("the abandoned fill ran: %v, %v", has, err)
	}
	if st := s.Stats(); st.Fills != 2 {
		t.Errorf("%d fills, want 2", st.Fills)
	}
	wantBytes(t, s, two)
}

// Bad input 21: however many different hashes are missing at once, the origin sees no more than MaxFills of them.
func TestDistinctMissesAreBounded(t *testing.T) {
	leaktest.Check(t)
	const fills, clients = 4, 300
	s, origin := overHTTP(t, caching.Options{MaxFills: fills})
	gate := make(chan struct{})
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		<-gate
		nethttp.NotFound(w, r)
	})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { wantMiss(t, s, blob.Sum([]byte{byte(i), byte(i >> 8)})) })
	}
	eventually(t, "all wait, and the origin is busy", func() bool {
		return s.Stats().Waiting == clients && origin.Running() == fills
	})
	if n := origin.Gets(); n != fills {
		t.Errorf("the origin saw %d requests at once, want %d", n, fills)
	}
	close(gate)
	wg.Wait()
	if n := origin.Gets(); n != clients {
		t.Errorf("%d requests for %d hashes", n, clients)
	}
}

// An origin that drips keeps nobody longer than FillTimeout, and a waiter sees no context error that is not its own.
func TestFillTimeout(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	s, origin := overHTTP(t, caching.Options{FillTimeout: 100 * time.Millisecond})
	v := storetest.Blob(t, 1, 1000)
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		w.Header().Set("Content-Length", "1000")
		for r.Context().Err() == nil {
			<-tick.C
			_, _ = w.Write([]byte{0})
			w.(nethttp.Flusher).Flush()
		}
	})
	_, err := s.Get(t.Context(), v.Hash())
	if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n := s.Stats().FillErrors["timeout"]; n != 1 {
		t.Errorf("%d timeouts are counted", n)
	}
}

// Innermost first: the cache, what the origin and those behind it said, ourselves. Every waiter gets all of it.
func TestTrace(t *testing.T) {
	s, origin := overHTTP(t, caching.Options{})
	v := storetest.Blob(t, 1, 1000)
	f := func(want ...string) {
		t.Helper()
		ctx, tr := blob.WithTrace(t.Context())
		_, _ = read(ctx, s, v.Hash())
		var got []string
		for _, hop := range tr.Hops() {
			got = append(got, hop.Origin)
		}
		if !slices.Equal(got, want) {
			t.Errorf("hops %v, want %v", got, want)
		}
	}
	via := func(h nethttp.Handler) nethttp.HandlerFunc {
		return func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.Header().Set("Via", `{"stacks":[{"origin_name":"s3","host_name":"x","timing":1}]}`)
			h.ServeHTTP(w, r)
		}
	}
	origin.Answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(nethttp.StatusInternalServerError) })
	f("mem", "http-o", "caching")
	origin.Answer(via(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write(v.Bytes()) })))
	f("mem", "s3", "http-o", "caching")
	f("mem", "caching")
	v = storetest.Blob(t, 2, 1000)
	origin.Answer(via(nethttp.NotFoundHandler()))
	f("mem", "s3", "http-o", "caching")
	f("mem", "caching")
}

// Close waits for a blob that is on its way into the cache.
func TestCloseWaitsForAnAdmission(t *testing.T) {
	s, cache, origin := overHooked(t, caching.Options{})
	v := storetest.Blob(t, 1, 100)
	mustPut(t, origin, v)
	reached, gate := make(chan struct{}), make(chan struct{})
	admitted := make(chan error, 1)
	cache.onPut = func(ctx context.Context, _ blob.Verified, _ blob.Kind) error {
		close(reached)
		<-gate
		admitted <- ctx.Err()
		return nil
	}
	wantBytes(t, s, v)
	<-reached
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "Close to begin", func() bool {
		_, err := s.Has(t.Context(), v.Hash())
		return errors.Is(err, blob.ErrUnavailable)
	})
	close(gate)
	wg.Wait()
	if err := <-admitted; err != nil {
		t.Errorf("the cache was told to stop: %v", err)
	}
}

// Close ends the fill of an origin that hangs, in the queue and under way, and tells the waiters so.
func TestCloseEndsFills(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	s, origin := overHTTP(t, caching.Options{MaxFills: 1})
	origin.Answer(func(_ nethttp.ResponseWriter, r *nethttp.Request) { <-r.Context().Done() })
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), storetest.Blob(t, uint64(i), 100).Hash()); !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("Get: %v", err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return s.Stats().Waiting == 3 && origin.Running() == 1 })
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	wg.Wait()
}

// An origin that only has handles is verified like any other.
func TestOriginWithoutStreams(t *testing.T) {
	origin := newHooked()
	s := newStore(t, caching.Options{Cache: mem.New(mem.Options{}), Origin: origin})
	for i, size := range []int{1, 5000, blob.MaxSize} {
		v := storetest.Blob(t, uint64(i), size)
		mustPut(t, origin, v)
		wantBytes(t, s, v)
		wantBytes(t, s, v)
	}
	if n := origin.gets.Load(); n != 3 {
		t.Errorf("the origin was asked %d times", n)
	}

	lying := newStore(t, caching.Options{Cache: mem.New(mem.Options{}), Origin: liar{origin}})
	if _, err := lying.Get(t.Context(), blob.Hash{9}); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("wrong bytes from a handle: %v", err)
	}
}

// liar gives the same blob for any name.
type liar struct{ *hooked }

func (l liar) Get(ctx context.Context, _ blob.Hash) (blob.Handle, error) {
	v, err := blob.Verify(blob.Sum([]byte("x")), []byte("x"))
	if err != nil {
		return nil, err
	}
	if err := l.Put(ctx, v, blob.KindContent); err != nil {
		return nil, err
	}
	return l.hooked.Get(ctx, v.Hash())
}

// A blob that is proven and on its way into the cache is a hit, and so is one that got there while a Get looked for it.
func TestHitsOfAFillThatIsThrough(t *testing.T) {
	s, cache, origin := overHooked(t, caching.Options{})
	v := storetest.Blob(t, 1, 100)
	mustPut(t, origin, v)
	reached, gate := make(chan struct{}), make(chan struct{})
	cache.onPut = func(context.Context, blob.Verified, blob.Kind) error {
		close(reached)
		<-gate
		return nil
	}
	wantBytes(t, s, v)
	<-reached
	wantBytes(t, s, v)
	looked, goOn := cache.holdFirstGet()
	var wg sync.WaitGroup
	wg.Go(func() { wantBytes(t, s, v) })
	<-looked
	close(gate)
	eventually(t, "the blob in the cache", func() bool { return s.Stats().FillBuffers == 0 })
	close(goOn)
	wg.Wait()
	if st := s.Stats(); st.Hits != 2 || st.Misses != 1 || st.Fills != 1 {
		t.Errorf("%d hits, %d misses, %d fills, want 2, 1, 1", st.Hits, st.Misses, st.Fills)
	}
}
