package caching_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// slowOrigin answers with the bytes that come over a channel.
func slowOrigin(origin *storetest.Origin, size int) chan<- []byte {
	pieces := make(chan []byte)
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		for {
			select {
			case p, ok := <-pieces:
				if !ok {
					return
				}
				_, _ = w.Write(p)
				w.(nethttp.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	return pieces
}

// arrivals is a sink that tells how much came.
type arrivals struct {
	mu      sync.Mutex
	changed sync.Cond
	got     bytes.Buffer
	flushes int
}

func newArrivals() *arrivals {
	a := &arrivals{}
	a.changed.L = &a.mu
	return a
}

func (a *arrivals) KernelSink() {}

func (a *arrivals) Flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushes++
}

func (a *arrivals) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed.Broadcast()
	return a.got.Write(p)
}

// wait waits until n bytes came.
func (a *arrivals) wait(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.got.Len() < n {
		a.changed.Wait()
	}
}

func (a *arrivals) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.got.Len()
}

// Readers get what has come while the origin still sends, all from one request; the end of what each asked for waits
// for the proof, and who comes late begins at the first byte all the same.
func TestReadersFollowAFill(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	s, origin := overHTTP(t, caching.Options{})
	v := storetest.Blob(t, 1, 1<<20)
	data := v.Bytes()
	pieces := slowOrigin(origin, len(data))
	go func() { pieces <- data[:1000] }()
	first := newArrivals()
	var wg sync.WaitGroup
	follow := func(a *arrivals, off, n int64) {
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Error(err)
			return
		}
		wg.Go(func() {
			defer h.Release()
			if m, err := h.SendTo(a, off, n); err != nil || m != n || !bytes.Equal(a.got.Bytes(), data[off:off+n]) {
				t.Errorf("SendTo %d+%d: %d bytes, %v, or other bytes", off, n, m, err)
			}
		})
	}
	follow(first, 0, 1<<20)
	first.wait(1000)
	pieces <- data[1000:600_000]
	late, short, inner := newArrivals(), newArrivals(), newArrivals()
	follow(late, 0, 1<<20)
	follow(short, 100, 2000)
	follow(inner, 0, 500_000)
	late.wait(500_000)
	inner.wait(500_000 - 64<<10)
	pieces <- data[600_000 : 1<<20-1]
	first.wait(1<<20 - 64<<10)
	if first.flushes == 0 {
		t.Error("a small write was not flushed before the wait")
	}
	for _, a := range []*arrivals{first, late} {
		if n := a.len(); n > 1<<20-64<<10 {
			t.Errorf("%d bytes left before the blob was proven", n)
		}
	}
	if short.len() != 0 || inner.len() > 500_000-64<<10 {
		t.Errorf("%d and %d bytes left: the end of a range before the blob was proven", short.len(), inner.len())
	}
	pieces <- data[1<<20-1:]
	wg.Wait()
	if n := origin.Gets(); n != 1 {
		t.Errorf("%d requests", n)
	}
	eventually(t, "the blob is admitted", func() bool {
		has, err := s.Cache().Has(t.Context(), v.Hash())
		return has && err == nil
	})
	eventually(t, "the buffer is back", func() bool { return s.Stats().FillBuffers == 0 })
}

// What turns out to be wrong, short or cut never leaves whole, and is admitted nowhere.
func TestNoReaderGetsAllOfAWrongBlob(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	v := storetest.Blob(t, 1, 1<<20)
	wrong := bytes.Clone(v.Bytes())
	wrong[1<<20-1] ^= 1
	for name, end := range map[string]struct {
		sent []byte
		want error
	}{
		"wrong": {wrong[500_000:], blob.ErrCorrupt},
		"cut":   {wrong[500_000 : 1<<20-1], blob.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			cache := mem.New(mem.Options{})
			s, origin := overHTTP(t, caching.Options{Cache: cache})
			pieces := slowOrigin(origin, 1<<20)
			go func() { pieces <- wrong[:500_000] }()
			var wg sync.WaitGroup
			for _, read := range []func(blob.Handle, *arrivals) (int64, error){
				func(h blob.Handle, a *arrivals) (int64, error) { return h.SendTo(a, 0, h.Size()) },
				func(h blob.Handle, a *arrivals) (int64, error) { return h.SendTo(a, 10, 400_000) },
				func(h blob.Handle, a *arrivals) (int64, error) { return h.WriteTo(a) },
				func(h blob.Handle, a *arrivals) (int64, error) {
					n, err := h.ReadAt(make([]byte, 10), 0)
					return int64(n), err
				},
			} {
				h, err := s.Get(t.Context(), v.Hash())
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer h.Release()
					a := newArrivals()
					n, err := read(h, a)
					if !errors.Is(err, end.want) || n > h.Size()-64<<10 || int64(a.len()) > n {
						t.Errorf("%d bytes, %v, want %v", n, err, end.want)
					}
				})
			}
			pieces <- end.sent
			close(pieces)
			wg.Wait()
			eventually(t, "the buffer is back", func() bool { return s.Stats().FillBuffers == 0 })
			if cache.Stats().Blobs != 0 {
				t.Error("it was admitted")
			}
		})
	}
}

// stuck is a sink whose reader takes nothing until it is told to.
type stuck struct {
	reached chan struct{}
	gate    chan struct{}
	n       int
}

func (s *stuck) KernelSink() {}

func (s *stuck) Write(p []byte) (int, error) {
	if s.n == 0 {
		close(s.reached)
		<-s.gate
	}
	s.n += len(p)
	return len(p), nil
}

// A slow reader that follows a fill moves on to the cache, and the buffer goes back while it still reads.
func TestSlowReadersMoveToTheCache(t *testing.T) {
	leaktest.Check(t)
	for _, whole := range []bool{true, false} {
		s, origin := overHTTP(t, caching.Options{MaxFills: 1})
		v := storetest.Blob(t, 1, blob.MaxSize)
		data := v.Bytes()
		pieces := slowOrigin(origin, len(data))
		go func() { pieces <- data[:300_000] }()
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		slow := &stuck{reached: make(chan struct{}), gate: make(chan struct{})}
		done := make(chan error)
		go func() {
			var n int64
			var err error
			if whole {
				n, err = h.WriteTo(slow)
			} else {
				n, err = h.SendTo(slow, 0, h.Size())
			}
			if err == nil && n != h.Size() {
				err = io.ErrShortWrite
			}
			done <- err
		}()
		<-slow.reached
		pieces <- data[300_000:]
		eventually(t, "the blob is admitted", func() bool {
			has, err := s.Cache().Has(t.Context(), v.Hash())
			return has && err == nil
		})
		if n := s.Stats().FillBuffers; n != 1 {
			t.Errorf("%d buffers are out while a write reads from one", n)
		}
		close(slow.gate)
		eventually(t, "the buffer is back", func() bool { return s.Stats().FillBuffers == 0 })
		if err := <-done; err != nil {
			t.Error(err)
		}
		h.Release()
	}
}

// Without a place where the bytes could stay, nobody is let in before the cache has the blob.
func TestNoFollowersWithoutAPlace(t *testing.T) {
	leaktest.Check(t)
	cache := newHooked()
	full := true
	cache.onPut = func(_ context.Context, _ blob.Verified, _ blob.Kind) error {
		if full {
			return blob.ErrFull
		}
		return nil
	}
	s, origin := overHTTP(t, caching.Options{Cache: cache, MaxFills: 1})
	passing := storetest.Blob(t, 1, 100_000)
	origin.Put(passing)
	held, err := s.Get(t.Context(), passing.Hash()) // takes the only place
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it passes through", func() bool { return s.Stats().PassedThrough == 1 })
	full = false
	v := storetest.Blob(t, 2, 1<<20)
	pieces := slowOrigin(origin, 1<<20)
	got := make(chan blob.Handle)
	go func() {
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Error(err)
		}
		got <- h
	}()
	pieces <- v.Bytes()[:500_000]
	select {
	case <-got:
		t.Error("a reader was let in")
	case <-time.After(20 * time.Millisecond): // proves little when it passes, and everything when it does not
	}
	pieces <- v.Bytes()[500_000:]
	checkAndRelease(t, <-got, v)
	held.Release()
}
