package reflector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
)

// BAD-INPUTS 57: 100 connections offer one blob at once. It is sent and stored once, and everybody gets a right answer.
func TestSameBlob(t *testing.T) {
	const conns = 100
	for _, kind := range []blob.Kind{blob.KindContent, blob.KindSD} {
		t.Run(kind.String(), func(t *testing.T) {
			store := newShelf(t)
			s := start(t, reflector.Options{Store: store})
			data := content(1, blob.MaxSize)
			if kind == blob.KindSD {
				data = descriptor()
			}
			v := verified(t, data)
			// The first Put waits until all others have asked.
			store.onPut(func(ctx context.Context, _ blob.Hash) error {
				for store.asked.Load() < conns && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				return ctx.Err()
			})
			var sent atomic.Int64
			var all sync.WaitGroup
			for range conns {
				c := s.client()
				all.Go(func() {
					r, err := c.Upload(context.Background(), v, kind)
					if err != nil || len(r.Needed) > 0 {
						t.Errorf("%+v, %v", r, err)
					}
					if r.Sent {
						sent.Add(1)
					}
				})
			}
			all.Wait()
			if sent.Load() != 1 || store.puts.Load() != 1 {
				t.Errorf("sent %d times, put %d times", sent.Load(), store.puts.Load())
			}
			store.holds(t, data, kind)
		})
	}
}

// When the one who sends a blob fails, another one is asked for it; when it is slow, the others do not wait for ever.
func TestTurns(t *testing.T) {
	data := content(1, 100_000)
	first := func(s *server) *talk {
		c := s.greet()
		c.say(offer(data))
		c.hear(`{"send_blob":true}`)
		return c
	}
	t.Run("the sender leaves", func(t *testing.T) {
		store := newShelf(t)
		s := start(t, reflector.Options{Store: store})
		c := first(s)
		d := s.greet()
		d.say(offer(data))
		until(t, "the second to ask", func() bool { return store.asked.Load() == 2 })
		c.say(string(data[:50_000]))
		c.Close()
		d.hear(`{"send_blob":true}`)
		d.say(string(data))
		d.hear(`{"received_blob":true}`)
		store.holds(t, data, blob.KindContent)
	})
	t.Run("the sender is slow", func(t *testing.T) {
		store := newShelf(t)
		s := start(t, reflector.Options{Store: store, TurnTimeout: 50 * time.Millisecond})
		c := first(s)
		d := s.greet()
		d.say(offer(data))
		d.hear(`{"send_blob":true}`)
		d.say(string(data))
		d.hear(`{"received_blob":true}`)
		c.say(string(data))
		c.hear(`{"received_blob":true}`)
		store.holds(t, data, blob.KindContent)
	})
}

// BAD-INPUTS 56: whoever leaves after the body, before the receipt, finds the blob there when it comes again.
func TestDisconnectBeforeReceipt(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	data := content(1, blob.MaxSize)
	arrived, leave := make(chan struct{}), make(chan struct{})
	store.onPut(func(context.Context, blob.Hash) error {
		close(arrived)
		<-leave
		return nil
	})
	c := s.greet()
	c.say(offer(data))
	c.hear(`{"send_blob":true}`)
	c.say(string(data))
	<-arrived
	if err := c.SetLinger(0); err != nil { // a reset
		t.Fatal(err)
	}
	c.Close()
	close(leave)
	r, err := s.client().Upload(t.Context(), verified(t, data), blob.KindContent)
	if err != nil || r.Sent {
		t.Errorf("again: %+v, %v", r, err)
	}
	store.holds(t, data, blob.KindContent)
	if n := store.puts.Load(); n != 1 {
		t.Errorf("put %d times", n)
	}
}

// BAD-INPUTS 60: a store that does not take a blob, for whatever reason, is never acknowledged.
func TestPutFails(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store, PutTimeout: time.Second})
	a, sd := content(1, 1000), descriptor()
	for name, fail := range map[string]func(context.Context) error{
		"full":        func(context.Context) error { return fmt.Errorf("put: %w", blob.ErrFull) },
		"ENOSPC":      func(context.Context) error { return fmt.Errorf("put: %w", syscall.ENOSPC) },
		"unavailable": func(context.Context) error { return blob.ErrUnavailable },
		"hangs":       func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			store.onPut(func(ctx context.Context, _ blob.Hash) error { return fail(ctx) })
			c := s.greet()
			c.say(offer(a), string(a))
			c.hear(`{"send_blob":true}`, `{"received_blob":false}`)
			c.gone()
			c = s.greet()
			c.say(offerSD(sd), string(sd))
			c.hear(`{"send_sd_blob":true}`)
			c.gone()
			client := s.client()
			if _, err := client.Upload(t.Context(), verified(t, a), blob.KindContent); !errors.Is(err, reflectclient.ErrNotReceived) {
				t.Errorf("a client learns %v", err)
			}
		})
	}
	if st := s.Stats(); st.Blobs != 0 || st.SDBlobs != 0 {
		t.Errorf("stats %+v", st)
	}
	store.lacks(t, blob.Sum(a))
	store.lacks(t, blob.Sum(sd))
	store.onPut(nil)
	s = start(t, reflector.Options{Store: store})
	if r, err := s.client().Upload(t.Context(), verified(t, a), blob.KindContent); err != nil || !r.Sent {
		t.Errorf("once it works: %+v, %v", r, err)
	}
}

// BAD-INPUTS 53: half a blob, and then silence, or the end.
func TestHalfABlob(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store, BodyWindow: time.Second})
	data := content(1, blob.MaxSize)
	for name, end := range map[string]func(c *talk){
		"silence":    func(*talk) {},
		"half-close": func(c *talk) { _ = c.CloseWrite() },
		"close":      func(c *talk) { c.Close() },
		"reset":      func(c *talk) { _ = c.SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.greet()
			c.say(offer(data))
			c.hear(`{"send_blob":true}`)
			c.say(string(data[:blob.MaxSize/2]))
			end(c)
			if name == "silence" || name == "half-close" {
				c.gone()
			}
			until(t, "the upload to end", func() bool { st := s.Stats(); return st.Connections == 0 && st.Uploads == 0 })
		})
	}
	if n := store.puts.Load(); n != 0 {
		t.Errorf("%d were given to the store", n)
	}
	e := s.Stats().Errors
	if e["io_timeout"] != 1 || e["unexpected_eof"]+e["read_conn_reset"] != 3 {
		t.Errorf("errors %v", e)
	}
}

// A body that moves, however slowly, is not cut: it takes many windows, in each of which more than the least comes.
func TestSlowBody(t *testing.T) {
	store := newShelf(t)
	const window = time.Second
	s := start(t, reflector.Options{Store: store, BodyWindow: window, BodyRate: 1})
	data := content(1, 200)
	c := s.greet()
	c.say(offer(data))
	c.hear(`{"send_blob":true}`)
	begin := time.Now()
	tick := time.NewTicker(window / 50)
	defer tick.Stop()
	for i := range data {
		<-tick.C
		c.say(string(data[i : i+1]))
	}
	c.hear(`{"received_blob":true}`)
	if took := time.Since(begin); took < 3*window {
		t.Fatalf("it took %v: nothing was tried", took)
	}
	store.holds(t, data, blob.KindContent)
}

// Only so many bodies are on their way at once; the others are asked for when there is room, or closed.
func TestMaxUploads(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store, MaxUploads: 2})
	var talks []*talk
	for i := range 3 {
		c := s.greet()
		c.say(offer(content(uint64(i), 100)))
		if i < 2 {
			c.hear(`{"send_blob":true}`)
		}
		talks = append(talks, c)
	}
	until(t, "the third to ask", func() bool { return store.asked.Load() == 3 })
	if n := s.Stats().Uploads; n != 2 {
		t.Errorf("%d uploads", n)
	}
	talks[0].say(string(content(0, 100)))
	talks[0].hear(`{"received_blob":true}`)
	talks[2].hear(`{"send_blob":true}`)

	t.Run("no room in time", func(t *testing.T) {
		s := start(t, reflector.Options{Store: store, MaxUploads: 1, AnswerTimeout: time.Second})
		c, d := s.greet(), s.greet()
		c.say(offer(content(10, 100)))
		c.hear(`{"send_blob":true}`)
		d.say(offer(content(11, 100)))
		d.gone()
		c.say(string(content(10, 100)))
		c.hear(`{"received_blob":true}`)
	})
}

// Connections beyond the limits are closed at once, and their places are free again when others go.
func TestConnectionLimits(t *testing.T) {
	for name, o := range map[string]reflector.Options{"all": {MaxConnections: 3}, "one address": {MaxPerAddress: 3}} {
		t.Run(name, func(t *testing.T) {
			o.Store = newShelf(t)
			s := start(t, o)
			kept := []*talk{s.greet(), s.greet(), s.greet()}
			s.dial().gone()
			s.dial().gone()
			if st := s.Stats(); st.Refused != 2 || st.Connections != 3 {
				t.Errorf("stats %+v", st)
			}
			kept[0].Close()
			until(t, "a free place", func() bool { return s.Stats().Connections == 2 })
			s.greet()
		})
	}
}

// A drain lets uploads in flight come to their receipt, and what was acknowledged is there. Those that have not begun
// are cut off without an answer that could be taken for one.
func TestDrain(t *testing.T) {
	const conns, each = 100, 4
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store, DrainTimeout: time.Minute})
	var acked sync.Map
	var all sync.WaitGroup
	for i := range conns {
		c := s.client()
		all.Go(func() {
			for k := range each {
				data := content(uint64(i*each+k), 200_000)
				r, err := c.Upload(context.Background(), verified(t, data), blob.KindContent)
				if err != nil {
					return
				}
				if !r.Sent {
					t.Errorf("blob %d was not sent", i*each+k)
				}
				acked.Store(i*each+k, data)
			}
		})
	}
	idle := s.greet()
	busy := s.greet()
	late := content(5000, blob.MaxSize)
	busy.say(offer(late))
	busy.hear(`{"send_blob":true}`)
	until(t, "some uploads", func() bool { return s.Stats().Blobs > 20 })
	ended := make(chan error, 1)
	go func() { ended <- s.Drain() }()
	idle.gone()
	busy.say(string(late))
	busy.hear(`{"received_blob":true}`)
	busy.gone()
	if err := <-ended; err != nil {
		t.Errorf("drain: %v", err)
	}
	all.Wait()
	n := 0
	acked.Range(func(_, data any) bool {
		n++
		store.holds(t, data.([]byte), blob.KindContent)
		return true
	})
	store.holds(t, late, blob.KindContent)
	if n < 20 {
		t.Errorf("%d blobs were acknowledged", n)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("the server still accepts")
	}
}

// What does not end in time is cut, and its blob not acknowledged.
func TestDrainCuts(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store, DrainTimeout: 100 * time.Millisecond})
	data := content(1, 100)
	putting := make(chan struct{})
	store.onPut(func(ctx context.Context, _ blob.Hash) error {
		close(putting)
		<-ctx.Done()
		return ctx.Err()
	})
	c, d := s.greet(), s.greet()
	d.say(offer(content(2, 100)))
	d.hear(`{"send_blob":true}`)
	c.say(offer(data), string(data))
	c.hear(`{"send_blob":true}`)
	<-putting
	s.Stop()
	if err := s.Fails(); err == nil {
		t.Error("the drain says that nothing was cut")
	}
	for _, c := range []*talk{c, d} {
		if got, _ := io.ReadAll(c); strings.Contains(string(got), "true") {
			t.Errorf("heard %q", got)
		}
	}
	store.lacks(t, blob.Sum(data))
}

// A listener that fails ends Serve with its error, and a server serves once.
func TestServe(t *testing.T) {
	store := newShelf(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := reflector.New(reflector.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := s.Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("over a closed listener: %v", err)
	}
	if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), ln); err == nil {
		t.Error("a server serves twice")
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the second listener is open")
	}
}

// A blob on its way costs its buffer and little else.
func TestMemory(t *testing.T) {
	const uploads = 32
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	data := make([][]byte, uploads)
	for i := range data {
		data[i] = content(uint64(i), blob.MaxSize)
	}
	memory := func() uint64 {
		runtime.GC()
		runtime.GC() // what pools keep over one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	s.greet().Close()
	before := memory()
	talks := make([]*talk, uploads)
	for i := range talks {
		talks[i] = s.greet()
		talks[i].say(offer(data[i]))
		talks[i].hear(`{"send_blob":true}`)
		talks[i].say(string(data[i][:blob.MaxSize-1]))
	}
	after := memory()
	if each := int64(after-before) / uploads; each > blob.MaxSize+64<<10 || each < blob.MaxSize/2 {
		t.Errorf("a blob on its way costs %d bytes", each)
	}
	for i, c := range talks {
		c.say(string(data[i][blob.MaxSize-1:]))
		c.hear(`{"received_blob":true}`)
	}
	if st := s.Stats(); st.BytesIn != uploads*blob.MaxSize {
		t.Errorf("stats %+v", st)
	}
}
