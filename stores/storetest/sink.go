package storetest

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// Sink is one end of a TCP connection over loopback, as a blob.Sink. Its Write is write(2) and nothing else.
type Sink struct {
	*net.TCPConn
	t        testing.TB
	received chan []byte
}

// KernelSink implements blob.Sink.
func (*Sink) KernelSink() {}

var _ blob.Sink = (*Sink)(nil)

// sinkDeadline bounds every sink of a test; one that waits longer hangs.
const sinkDeadline = time.Minute

// TCPSink connects a sink to a reader that collects everything. Both are gone when the test ends.
func TCPSink(t testing.TB) *Sink {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(sinkDeadline)
	for _, c := range []net.Conn{conn, peer} {
		if err := c.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	s := &Sink{TCPConn: conn.(*net.TCPConn), t: t, received: make(chan []byte, 1)}
	go func() {
		got, err := io.ReadAll(peer)
		if err != nil {
			t.Errorf("storetest: read from the sink: %v", err)
		}
		s.received <- got
	}()
	t.Cleanup(func() {
		conn.Close()
		got := <-s.received
		s.received <- got
		peer.Close()
	})
	return s
}

// Received ends the connection's write side and returns all that arrived at the other end.
func (s *Sink) Received() []byte {
	s.t.Helper()
	if err := s.CloseWrite(); err != nil {
		s.t.Fatal(err)
	}
	got := <-s.received
	s.received <- got
	return got
}
