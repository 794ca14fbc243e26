package http3d_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
)

// A drain answers what is in flight, lets nobody in, and says so to load balancers before.
func TestDrain(t *testing.T) {
	here := content(1, 500_000)
	store := newShelf(here)
	reached, goOn := make(chan struct{}), make(chan struct{})
	store.First(func(_ context.Context, _ blob.Hash) error {
		close(reached)
		<-goOn
		return nil
	})
	s := start(t, options(store))
	c := s.client(nil)
	got := make(chan answer, 1)
	go func() {
		a, err := s.ask(c, "GET", "/get/"+blob.Sum(here).String())
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	<-reached
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for { // until the server has heard
		conn, err := quic.DialAddr(ctx, s.addr, clientTLS(), nil)
		if err != nil {
			break
		}
		_ = conn.CloseWithError(0, "")
	}
	close(goOn)
	if a := <-got; a.status != 200 || !bytes.Equal(a.body, here) {
		t.Errorf("the request in flight: %d, %d bytes", a.status, len(a.body))
	}
	if err := s.Drain(); err != nil {
		t.Error(err)
	}
}

// A drain does not wait for clients that hold a connection and ask for nothing.
func TestDrainOfIdleConnections(t *testing.T) {
	o := options(newShelf())
	o.DrainTimeout = time.Minute
	s := start(t, o)
	for range 5 {
		control(t, s.dial(&quic.Config{KeepAlivePeriod: 50 * time.Millisecond}))
	}
	s.must(s.client(nil), "GET", "/healthz")
	begin := time.Now()
	if err := s.Drain(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the drain took %v", took)
	}
}

// What is left after DrainTimeout is cut: look-ups that hang and readers that do not read.
func TestDrainCuts(t *testing.T) {
	here := content(1, blob.MaxSize)
	store := newShelf(here)
	var hang sync.Map // any key: calls hang
	store.First(func(ctx context.Context, _ blob.Hash) error {
		if _, ok := hang.Load("on"); !ok {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	o := options(store)
	o.DrainTimeout = 200 * time.Millisecond
	s := start(t, o)
	conn := s.dial(&quic.Config{InitialStreamReceiveWindow: 1000, MaxStreamReceiveWindow: 1000})
	control(t, conn)
	for i := range 2 {
		str, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := str.Write(request("/get/" + blob.Sum(here).String())); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			until(t, "the answer to begin", func() bool { return s.Stats().Sending == 1 })
			hang.Store("on", true)
			continue
		}
		until(t, "the look-up to hang", func() bool { return s.Stats().InFlight == 1 })
	}
	s.Stop()
	if err := s.Fails(); err == nil || !strings.Contains(err.Error(), "cut") {
		t.Errorf("drain: %v", err)
	}
}

// When the socket is closed under it, Serve ends with an error and leaves nothing running.
func TestSocketThatFails(t *testing.T) {
	var socket net.PacketConn
	s := startOn(t, options(newShelf()), func(pc net.PacketConn) net.PacketConn {
		socket = pc
		return pc
	})
	s.alive()
	_ = socket.Close()
	if err := s.Fails(); err == nil {
		t.Error("Serve ended without an error")
	}
}

func TestServesOnce(t *testing.T) {
	s := start(t, options(newShelf()))
	s.alive()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), pc); err == nil {
		t.Error("the second Serve was taken")
	}
}

func TestOptions(t *testing.T) {
	store := newShelf()
	for _, o := range []http3d.Options{
		{},
		{Options: httpd.Options{Store: store, MaxQueue: -1}},
		{Options: httpd.Options{Store: store, MinRate: -1}},
		{Options: httpd.Options{Store: store, IdleTimeout: -1}},
		{Options: httpd.Options{Store: store}, MaxConnectionsPerAddress: -1},
		{Options: httpd.Options{Store: store}, TLSCert: "x"},
		{Options: httpd.Options{Store: store}, TLSKey: "x"},
		{Options: httpd.Options{Store: store}, TLSCert: "/does/not/exist", TLSKey: "/does/not/exist"},
	} {
		if _, err := http3d.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// The queue is counted and bounded, and a client that leaves gives its place back.
func TestQueue(t *testing.T) {
	here := content(1, 10)
	store := newShelf(here)
	goOn := make(chan struct{})
	store.First(func(ctx context.Context, _ blob.Hash) error {
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	o := options(store)
	o.MaxConcurrentRequests, o.MaxQueue = 1, 1
	s := start(t, o)
	c := s.client(nil)
	path := "/get/" + blob.Sum(here).String()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if a, err := s.ask(c, "GET", path); err != nil || a.status != 200 {
				t.Errorf("%d, %v", a.status, err)
			}
		})
	}
	until(t, "one to wait", func() bool { return s.Stats().Queue == 1 && s.Stats().InFlight == 1 })
	if a := s.must(c, "GET", path); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d, %v", a.status, a.header)
	}
	close(goOn)
	wg.Wait()
}

// No 0-RTT: a client that resumes a session waits for the handshake.
func TestNoEarlyData(t *testing.T) {
	here := content(1, 10)
	s := start(t, options(newShelf(here)))
	conf := clientTLS()
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	for range 3 {
		conn, err := quic.DialAddrEarly(t.Context(), s.addr, conf, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		control(t, conn)
		str, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := str.Write(request("/get/" + blob.Sum(here).String())); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(str)
		if conn.ConnectionState().Used0RTT {
			t.Error("0-RTT was used")
		}
		_ = conn.CloseWithError(0, "")
	}
}
