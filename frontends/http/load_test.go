package httpd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	"github.com/OdyseeTeam/prism/internal/leaktest"
)

// A reader below the least rate is cut; one that is slow but above it gets everything.
func TestPace(t *testing.T) {
	data := content(10, blob.MaxSize)
	const window = 500 * time.Millisecond
	s := start(t, httpd.Options{Store: newShelf(data), MinRate: 16 << 10, RateWindow: window})

	t.Run("too slow", func(t *testing.T) {
		c := frontendtest.Narrow(t, s.addr)
		if _, err := io.WriteString(c, requestFor(blob.Sum(data))); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		until(t, "the reader to be cut", func() bool { return s.Stats().SlowReaders == 1 })
		if took := time.Since(begin); took < window/2 {
			t.Errorf("cut after %v, before a window of %v was over", took, window)
		}
		if got := s.Stats().Errors["io_timeout"]; got != 1 {
			t.Errorf("%d timeouts counted", got)
		}
		until(t, "the connection to go", func() bool { return s.Stats().Connections == 0 })
	})
	t.Run("slow", func(t *testing.T) {
		// Above the least rate for three windows, far below what would empty a send buffer; then all at once.
		c := frontendtest.Narrow(t, s.addr)
		if _, err := io.WriteString(c, requestFor(blob.Sum(data), "Connection: close")); err != nil {
			t.Fatal(err)
		}
		got, begin := 0, time.Now()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		piece := make([]byte, 64<<10)
		for took := time.Duration(0); ; took = time.Since(begin) {
			now := len(piece)
			if took < 3*window {
				<-tick.C
				now = max(1, int(took.Seconds()*(200<<10))-got)
			}
			n, err := c.Read(piece[:min(len(piece), now)])
			got += n
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes and %v: %v", got, took, err)
			}
		}
		if got < len(data) {
			t.Errorf("%d bytes of %d", got, len(data))
		}
	})
	if got := s.Stats().SlowReaders; got != 1 {
		t.Errorf("%d readers cut, want 1", got)
	}
}

// What a reader took earlier does not excuse it later.
func TestPaceAfterGoodStart(t *testing.T) {
	data := content(17, blob.MaxSize)
	s := startOn(t, httpd.Options{Store: newShelf(data), MinRate: 16 << 10, RateWindow: 300 * time.Millisecond},
		narrowListener(t))
	c := frontendtest.Narrow(t, s.addr)
	if _, err := io.WriteString(c, requestFor(blob.Sum(data))); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Fatal(err)
	}
	until(t, "the reader to be cut", func() bool { return s.Stats().SlowReaders == 1 })
}

// inPieces is a handle that sends in small writes.
type inPieces struct {
	blob.Handle
	piece int64
}

func (h inPieces) SendTo(s blob.Sink, off, n int64) (done int64, err error) {
	for err == nil && done < n {
		var k int64
		k, err = h.Handle.SendTo(s, off+done, min(h.piece, n-done))
		done += k
	}
	return done, err
}

// Each write waits for less than a window, but the windows do not start anew with each.
func TestPaceOverManyWrites(t *testing.T) {
	data := content(16, 1<<20)
	store := newShelf(data)
	store.Wrapping(func(h blob.Handle) blob.Handle { return inPieces{h, 8 << 10} })
	s := startOn(t, httpd.Options{Store: store, MinRate: 128 << 10, RateWindow: 400 * time.Millisecond}, narrowListener(t))
	c := frontendtest.Narrow(t, s.addr)
	if _, err := io.WriteString(c, requestFor(blob.Sum(data))); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for n, err := 0, error(nil); err == nil && s.Stats().SlowReaders == 0; {
		<-tick.C // 128 bytes each: a quarter of the least rate
		var k int
		k, err = c.Read(make([]byte, 128))
		if n += k; n > len(data)/2 {
			t.Fatal("the reader is not cut")
		}
	}
	until(t, "the reader to be cut", func() bool { return s.Stats().SlowReaders == 1 })
}

// narrowListener makes accepted sockets start with a small send buffer.
func narrowListener(t *testing.T) func(net.Listener) net.Listener {
	return func(ln net.Listener) net.Listener {
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if e := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10)
		}); e != nil || err != nil {
			t.Fatal(e, err)
		}
		return ln
	}
}

// A reader of many small answers is cut too, when it takes none.
func TestPaceOfSmallAnswers(t *testing.T) {
	s := start(t, httpd.Options{Store: newShelf(), RateWindow: 300 * time.Millisecond})
	c := frontendtest.Narrow(t, s.addr)
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = io.WriteString(c, strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1000))
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the server waits for a reader that does not read")
	}
}

// Readers that take their time hold no slot: with two slots and many of them, another client is answered.
func TestSlowReadersDoNotStarve(t *testing.T) {
	data, other := content(11, blob.MaxSize), content(12, blob.MaxSize)
	s := start(t, httpd.Options{Store: newShelf(data, other), MaxConcurrentRequests: 2})
	const readers = 50
	for range readers {
		c := frontendtest.Narrow(t, s.addr)
		if _, err := io.WriteString(c, requestFor(blob.Sum(data))); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all of them to be sent to", func() bool { return s.Stats().Sending == readers })
	_, body := s.get("/" + blob.Sum(other).String())
	if body != string(other) {
		t.Errorf("%d bytes came", len(body))
	}
	if st := s.Stats(); st.Sending != readers || st.InFlight != 0 {
		t.Errorf("%d sending, %d in flight", st.Sending, st.InFlight)
	}
}

// Beyond the slots a bounded number waits, for a bounded time.
func TestQueue(t *testing.T) {
	store := newShelf(content(13, 1000))
	letGo := store.Hold()
	defer letGo()
	s := start(t, httpd.Options{Store: store, MaxConcurrentRequests: 2, MaxQueue: 3, QueueTimeout: time.Minute})
	path := "/" + blob.Sum(content(13, 1000)).String()
	answers := make(chan string, 5)
	for range 5 {
		go func() {
			top, _ := s.get(path)
			answers <- status(top)
		}()
	}
	until(t, "slots and queue to fill", func() bool {
		st := s.Stats()
		return st.InFlight == 2 && st.Queue == 3
	})
	top, _ := s.get(path)
	if status(top) != "503" || !strings.Contains(top, "Retry-After: 1") {
		t.Errorf("one too many: %s", top)
	}
	for _, free := range []string{"/healthz", "/readyz", "/nothing"} {
		if top, _ := s.get(free); status(top) == "503" {
			t.Errorf("%s waits for a slot", free)
		}
	}
	if got := store.Calls(); got != 2 {
		t.Errorf("%d calls of the store, want 2", got)
	}
	letGo()
	for range 5 {
		if got := <-answers; got != "200" {
			t.Errorf("one that waited got %s", got)
		}
	}
}

func TestQueueTimeout(t *testing.T) {
	store := newShelf()
	letGo := store.Hold()
	defer letGo()
	s := start(t, httpd.Options{Store: store, MaxConcurrentRequests: 1, QueueTimeout: 20 * time.Millisecond})
	c := s.dial()
	if _, err := io.WriteString(c, requestFor(blob.Sum(nil))); err != nil {
		t.Fatal(err)
	}
	until(t, "the slot to be taken", func() bool { return s.Stats().InFlight == 1 })
	if top, _ := s.get("/has/" + blob.Sum(nil).String()); status(top) != "503" {
		t.Errorf("got %s", top)
	}
}

// A waiter that leaves gives its place up.
func TestQueueLeave(t *testing.T) {
	store := newShelf()
	letGo := store.Hold()
	defer letGo()
	s := start(t, httpd.Options{Store: store, MaxConcurrentRequests: 1, QueueTimeout: time.Minute})
	ask := func() net.Conn {
		c := s.dial()
		if _, err := io.WriteString(c, requestFor(blob.Sum(nil))); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ask()
	until(t, "the slot to be taken", func() bool { return s.Stats().InFlight == 1 })
	ask()
	leaves := ask()
	until(t, "two to wait", func() bool { return s.Stats().Queue == 2 })
	leaves.Close()
	until(t, "one of them to leave", func() bool { return s.Stats().Queue == 1 })
}

// Connections beyond the limit are told so; once there is room, others come in.
func TestMaxConnections(t *testing.T) {
	s := start(t, httpd.Options{Store: newShelf(), MaxConnections: 2})
	var held []net.Conn
	for range 2 {
		c := s.dial()
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	// Nothing is sent, so that the refusal is not lost to a reset.
	refused, err := io.ReadAll(s.dial())
	if err != nil || status(string(refused)) != "503" || !bytes.Contains(refused, []byte("Retry-After")) {
		t.Errorf("got %q, %v", refused, err)
	}
	if st := s.Stats(); st.Refused != 1 || st.Connections != 2 {
		t.Errorf("%d refused, %d open", st.Refused, st.Connections)
	}
	held[0].Close()
	until(t, "room", func() bool { return s.Stats().Connections < 2 })
	if top, _ := s.get("/healthz"); status(top) != "200" {
		t.Errorf("after one left: %s", top)
	}
}

// What is in flight when the context ends is answered; what is idle is closed; nothing new comes in.
func TestDrain(t *testing.T) {
	data := content(14, blob.MaxSize)
	store := newShelf(data)
	letGo := store.Hold()
	defer letGo()
	s := start(t, httpd.Options{Store: store})
	idle := s.dial()
	if _, err := io.WriteString(idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	expect(t, idle, "200", []byte("ok\n"))
	busy := s.dial()
	if _, err := io.WriteString(busy, requestFor(blob.Sum(data))); err != nil {
		t.Fatal(err)
	}
	until(t, "the request to arrive", func() bool { return s.Stats().InFlight == 1 })

	drained := make(chan error, 1)
	go func() { drained <- s.Drain() }()
	if rest, err := io.ReadAll(idle); err != nil || len(rest) > 0 {
		t.Errorf("the idle connection: %q, %v", rest, err)
	}
	until(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	letGo()
	answer, err := io.ReadAll(busy)
	if err != nil || !bytes.HasSuffix(answer, data) || !bytes.Contains(answer, []byte("Connection: close")) {
		t.Errorf("in flight: %d bytes, %v", len(answer), err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A connection that was opened and never used does not hold up the end.
func TestDrainSilent(t *testing.T) {
	s := start(t, httpd.Options{Store: newShelf(), DrainTimeout: time.Second})
	silent := s.dial()
	until(t, "the connection", func() bool { return s.Stats().Connections == 1 })
	if err := s.Drain(); err != nil {
		t.Error(err)
	}
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the silent connection: %d bytes, %v", n, err)
	}
}

// A drain that takes too long cuts, says so, and leaves nothing behind.
func TestDrainTimeout(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	data := content(15, blob.MaxSize)
	store := newShelf(data)
	hang := blob.Sum([]byte("hang"))
	store.First(func(ctx context.Context, h blob.Hash) error {
		if h != hang {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := httpd.New(httpd.Options{Store: store, DrainTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, ln) }()
	s := &server{Server: srv, t: t, addr: ln.Addr().String()}
	stuck := s.dial()
	if _, err := io.WriteString(stuck, requestFor(hang)); err != nil {
		t.Fatal(err)
	}
	reader := frontendtest.Narrow(t, s.addr)
	if _, err := io.WriteString(reader, requestFor(blob.Sum(data))); err != nil {
		t.Fatal(err)
	}
	until(t, "both to be busy", func() bool { return s.Stats().InFlight == 1 && s.Stats().Sending == 1 })
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 connections") {
			t.Errorf("Serve says %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not return")
	}
	s.idle()
	if store.Pinned() != 0 {
		t.Errorf("%d handles were not released", store.Pinned())
	}
}

// Serve ends with its listener, and serves once.
func TestServeErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := httpd.New(httpd.Options{Store: newShelf()})
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := srv.Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("on a closed listener: %v", err)
	}
	if err := srv.Serve(t.Context(), ln); err == nil {
		t.Error("served twice")
	}
	for _, o := range []httpd.Options{
		{}, {Store: newShelf(), MaxConnections: -1}, {Store: newShelf(), MinRate: -1},
		{Store: newShelf(), DrainTimeout: -1}, {Store: newShelf(), MaxConcurrentRequests: -1},
	} {
		if _, err := httpd.New(o); err == nil {
			t.Errorf("options %+v were taken", o)
		}
	}
}

// A reader that has not proved prompt is given little ahead; one that has is given all that the kernel holds.
func TestUnsentBytesAreLimited(t *testing.T) {
	data, other := content(18, blob.MaxSize), content(19, 1000)
	s := start(t, httpd.Options{Store: newShelf(data, other)})
	c := s.dial()
	ask := func() {
		if _, err := io.WriteString(c, requestFor(blob.Sum(data))); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	until(t, "the body to be on its way", func() bool { return s.Stats().Sending == 1 })
	for range 20 {
		s.get("/" + blob.Sum(other).String())
	}
	if st := s.Stats(); st.Sending != 1 || st.Downloads != 20 {
		t.Errorf("a reader that reads nothing: %d sending, %d sent", st.Sending, st.Downloads)
	}
	expect(t, c, "200", data)
	ask()
	until(t, "the kernel to take all of it", func() bool { return s.Stats().Downloads == 22 })
	expect(t, c, "200", data)
}
