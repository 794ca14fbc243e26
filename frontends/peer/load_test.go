package peerd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
)

// Beyond the slots a bounded number waits, for a bounded time; who gets none is told nothing.
func TestQueue(t *testing.T) {
	data := content(30, 1000)
	store := newShelf(t, data)
	letGo := store.Hold()
	defer letGo()
	s := start(t, peerd.Options{Store: store, MaxConcurrentRequests: 2, MaxQueue: 3, QueueTimeout: time.Minute})
	var waiting []*client
	for range 5 {
		c := s.dial()
		c.send(forBlob(data))
		waiting = append(waiting, c)
	}
	until(t, "slots and queue to fill", func() bool {
		st := s.Stats()
		return st.InFlight == 2 && st.Queue == 3
	})
	c := s.dial()
	c.send(forBlob(data))
	c.wantClose("one request too many")
	if json, _ := s.dial().ask("{}"); json != top+"[]}" { // asks the store nothing
		t.Errorf("got %s", json)
	}
	letGo()
	for _, c := range waiting {
		c.wantBlob(data)
	}
}

func TestQueueTimeout(t *testing.T) {
	data := content(31, 1000)
	store := newShelf(t, data)
	letGo := store.Hold()
	defer letGo()
	s := start(t, peerd.Options{Store: store, MaxConcurrentRequests: 1, QueueTimeout: 20 * time.Millisecond})
	s.dial().send(forBlob(data))
	until(t, "the slot to be taken", func() bool { return s.Stats().InFlight == 1 })
	c := s.dial()
	c.send(forBlob(data))
	c.wantClose("a wait that was too long")
}

// Connections beyond the limits are refused at once; once there is room, others come in.
func TestMaxConnections(t *testing.T) {
	for name, o := range map[string]peerd.Options{
		"all": {MaxConnections: 2}, "one address": {MaxPerAddress: 2},
	} {
		t.Run(name, func(t *testing.T) {
			o.Store = newShelf(t)
			s := start(t, o)
			first, second := s.dial(), s.dial()
			first.ask("{}")
			second.ask("{}")
			c, err := net.Dial("tcp", s.addr)
			if err == nil { // the reset may come before Dial returns
				defer c.Close()
				_, err = c.Read(make([]byte, 1))
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("one too many: %v", err)
			}
			if st := s.Stats(); st.Refused != 1 || st.Connections != 2 {
				t.Errorf("%d refused, %d open", st.Refused, st.Connections)
			}
			first.Close()
			until(t, "room", func() bool { return s.Stats().Connections < 2 })
			s.dial().ask("{}")
		})
	}
}

// What is in flight when the context ends is answered; what is idle is closed; nothing new comes in.
func TestDrain(t *testing.T) {
	data := content(32, blob.MaxSize)
	store := newShelf(t, data)
	letGo := store.Hold()
	defer letGo()
	s := start(t, peerd.Options{Store: store})
	idle, silent := s.dial(), s.dial()
	idle.ask("{}")
	busy := s.dial()
	busy.send(forBlob(data) + forBlob(data)) // the second one comes too late
	until(t, "the request to arrive", func() bool { st := s.Stats(); return st.InFlight == 1 && st.Connections == 3 })

	drained := make(chan error, 1)
	go func() { drained <- s.Drain() }()
	idle.wantClose("the drain, idle")
	silent.wantClose("the drain, without a request")
	until(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	letGo()
	busy.wantBlob(data)
	busy.wantClose("the answer in flight")
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A drain that takes too long cuts, says so, and leaves nothing behind.
func TestDrainTimeout(t *testing.T) {
	data := content(33, blob.MaxSize)
	store := newShelf(t, data)
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
	srv, err := peerd.New(peerd.Options{Store: store, DrainTimeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, ln) }()
	s := &server{Server: srv, t: t, addr: ln.Addr().String()}
	s.dial().send(`{"requested_blob":"` + hang.String() + `"}`)
	s.narrow().send(forBlob(data))
	s.dial().send("{")
	until(t, "all to be busy", func() bool {
		st := s.Stats()
		return st.InFlight == 1 && st.Sending == 1 && st.Connections == 3
	})
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), " connections cut") {
			t.Errorf("Serve says %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not return")
	}
	s.idle()
}

// Serve ends with its listener, and serves once.
func TestServeErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := newShelf(t)
	srv, err := peerd.New(peerd.Options{Store: store})
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
	for _, o := range []peerd.Options{
		{}, {Store: store, MaxConnections: -1}, {Store: store, MaxPerAddress: -1}, {Store: store, MinRate: -1},
		{Store: store, DrainTimeout: -1}, {Store: store, MaxConcurrentRequests: -1},
	} {
		if _, err := peerd.New(o); err == nil {
			t.Errorf("options %+v were taken", o)
		}
	}
}

// short is a listener that has no descriptors left, a few times.
type short struct {
	net.Listener
	times int
}

func (l *short) Accept() (net.Conn, error) {
	if l.times > 0 {
		l.times--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// A server that runs out of descriptors goes on when there are some.
func TestAcceptFailsForAWhile(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := startOn(t, peerd.Options{Store: newShelf(t), Logger: slog.New(slog.NewTextHandler(&log, nil))}, &short{ln, 3})
	s.dial().ask("{}")
	if err := s.Drain(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "accept failed"); n != 3 {
		t.Errorf("%d lines: %s", n, log.String())
	}
}

// Many connections that wait hold little memory: 20 kB each, so that 10,000 hold 200 MB.
func TestIdleConnectionsAreCheap(t *testing.T) {
	const connections = 1000
	data := content(34, 1000)
	s := start(t, peerd.Options{Store: newShelf(t, data)})
	measure := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	request := `{"x":"` + strings.Repeat("x", 60_000) + `",` + strings.TrimPrefix(forBlob(data), "{")
	before := measure()
	for range connections {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if n, err := io.CopyN(io.Discard, c, 1000); err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	until(t, "all of them to wait", func() bool { st := s.Stats(); return st.Sending == 0 && st.Downloads == connections })
	if each := (int64(measure()) - int64(before)) / connections; each > 20_000 {
		t.Errorf("%d bytes a connection, on both ends", each)
	} else {
		t.Logf("%d bytes a connection, on both ends", each)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, size := range []int{4096, blob.MaxSize} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			data := content(uint64(size), size)
			s := start(b, peerd.Options{Store: newShelf(b, data)})
			c := s.dial()
			if err := c.SetDeadline(time.Time{}); err != nil {
				b.Fatal(err)
			}
			json, _ := c.ask(forBlob(data))
			request, want, buf := []byte(forBlob(data)), len(json)+size, make([]byte, 1<<20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < want; {
					n, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					got += n
				}
			}
		})
	}
}

// What a client sends while the last answer is on its way to it does not cost it that answer.
func TestLateRequestDoesNotCostTheAnswer(t *testing.T) {
	data := content(35, blob.MaxSize)
	for name, last := range map[string]string{"drain": forBlob(data), "garbage": "garbage"} {
		t.Run(name, func(t *testing.T) {
			store := newShelf(t, data)
			letGo := store.Hold()
			defer letGo()
			s := start(t, peerd.Options{Store: store})
			c := s.narrow()
			c.send(forBlob(data))
			until(t, "the request to arrive", func() bool { return s.Stats().InFlight == 1 })
			c.send(last + strings.Repeat(" ", 100_000))
			drained := make(chan error, 1)
			if name == "drain" {
				go func() { drained <- s.Drain() }()
				until(t, "the listener to close", func() bool {
					c, err := net.Dial("tcp", s.addr)
					if err == nil {
						c.Close()
					}
					return err != nil
				})
			} else {
				drained <- nil
			}
			letGo()
			c.wantBlob(data)
			c.wantClose(last)
			c.Close()
			if err := <-drained; err != nil {
				t.Error(err)
			}
		})
	}
}
