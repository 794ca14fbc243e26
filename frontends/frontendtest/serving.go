package frontendtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is far more than anything here may take.
const patience = 20 * time.Second

// Serving is a server that serves in a test.
type Serving struct {
	t      testing.TB
	cancel context.CancelFunc
	result chan error
	once   sync.Once
	err    error
}

// Serve runs a server until the test ends, or stops it: its drain must go well then, and afterwards runs.
func Serve(t testing.TB, serve func(context.Context) error, afterwards func()) *Serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Serving{t: t, cancel: cancel, result: make(chan error, 1)}
	go func() { s.result <- serve(ctx) }()
	t.Cleanup(func() {
		if err := s.Drain(); err != nil {
			t.Errorf("drain: %v", err)
		}
		afterwards()
	})
	return s
}

// Stop begins the drain.
func (s *Serving) Stop() { s.cancel() }

// Drain stops the server, waits for its end, and gives what it said.
func (s *Serving) Drain() error {
	s.cancel()
	return s.ended()
}

// Fails waits for a server that ends by itself, and gives what it said, which is then no failure of the test.
func (s *Serving) Fails() error {
	err := s.ended()
	s.err = nil
	return err
}

func (s *Serving) ended() error {
	s.once.Do(func() {
		select {
		case s.err = <-s.result:
		case <-time.After(3 * patience):
			s.err = errors.New("Serve does not return")
		}
	})
	return s.err
}

// Content is n bytes that a seed decides.
func Content(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(b)
	return b
}

// Until waits for a condition that must come true soon.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// Narrow opens a connection whose receive buffer is as small as the kernel lets it be. The test's end closes it.
func Narrow(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
		return errors.Join(err, set)
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}
