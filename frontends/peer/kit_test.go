package peerd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/protocol/peer"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// shelf is a disk store that a test can hold up, break and count.
type shelf struct {
	*disk.Store
	mu     sync.Mutex
	before func(ctx context.Context, h blob.Hash) error
	wrap   func(blob.Handle) blob.Handle

	gets, has atomic.Int64
}

var _ stores.Store = (*shelf)(nil)

// newShelf opens a store of segments with these blobs.
func newShelf(t testing.TB, blobs ...[]byte) *shelf {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	d, err := disk.Open(t.Context(), disk.Options{
		MountPoint: t.TempDir(), MaxSize: 1 << 30, SegmentSize: 16 << 20, Sync: "never", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{Store: d}
	t.Cleanup(func() {
		if n := d.Pinned(); n != 0 {
			t.Errorf("%d handles were not released", n)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, b := range blobs {
		s.add(t, b)
	}
	return s
}

func (s *shelf) add(t testing.TB, data []byte) {
	t.Helper()
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
}

// first makes f run at the start of each Has and Get; its error is the answer.
func (s *shelf) first(f func(ctx context.Context, h blob.Hash) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// wrapping makes f replace the handles that Get gives.
func (s *shelf) wrapping(f func(blob.Handle) blob.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrap = f
}

func (s *shelf) bent() (func(context.Context, blob.Hash) error, func(blob.Handle) blob.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before, s.wrap
}

func (s *shelf) Has(ctx context.Context, h blob.Hash) (bool, error) {
	s.has.Add(1)
	if before, _ := s.bent(); before != nil {
		if err := before(ctx, h); err != nil {
			return false, err
		}
	}
	return s.Store.Has(ctx, h)
}

func (s *shelf) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	s.gets.Add(1)
	before, wrap := s.bent()
	if before != nil {
		if err := before(ctx, h); err != nil {
			return nil, err
		}
	}
	out, err := s.Store.Get(ctx, h)
	if err == nil && wrap != nil {
		out = wrap(out)
	}
	return out, err
}

// blocked is a store whose calls wait until they are let go.
func (s *shelf) blocked() (letGo func()) {
	gate := make(chan struct{})
	s.first(func(ctx context.Context, _ blob.Hash) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return sync.OnceFunc(func() { close(gate) })
}

// server is a running server of a test. The test's end drains it and looks for what it forgot.
type server struct {
	*peerd.Server
	t     testing.TB
	addr  string
	stop  context.CancelFunc
	ended chan error
	once  sync.Once
	err   error
}

func start(t testing.TB, o peerd.Options) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, o, ln)
}

func startOn(t testing.TB, o peerd.Options, ln net.Listener) *server {
	t.Helper()
	leaktest.Check(t)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 10 * time.Second
	}
	srv, err := peerd.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{Server: srv, t: t, addr: ln.Addr().String(), stop: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- srv.Serve(ctx, ln) }()
	t.Cleanup(func() {
		if err := s.drain(); err != nil {
			t.Errorf("drain: %v", err)
		}
		s.idle()
	})
	return s
}

// drain ends Serve and gives what it returned.
func (s *server) drain() error {
	s.once.Do(func() {
		s.stop()
		s.err = <-s.ended
	})
	return s.err
}

// idle demands that nothing is in flight.
func (s *server) idle() {
	s.t.Helper()
	if st := s.Stats(); st.InFlight != 0 || st.Queue != 0 || st.Sending != 0 || st.Connections != 0 {
		s.t.Errorf("after the end: %d in flight, %d queued, %d sending, %d connections",
			st.InFlight, st.Queue, st.Sending, st.Connections)
	}
}

// client is a connection of a test.
type client struct {
	*net.TCPConn
	t  testing.TB
	in peer.Messages
}

func (s *server) dial() *client {
	s.t.Helper()
	return s.dialer(&net.Dialer{})
}

// narrow opens a connection whose receive buffer is as small as the kernel lets it be.
func (s *server) narrow() *client {
	s.t.Helper()
	return s.dialer(&net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
		return errors.Join(err, set)
	}})
}

func (s *server) dialer(d *net.Dialer) *client {
	s.t.Helper()
	c, err := d.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return &client{TCPConn: c.(*net.TCPConn), t: s.t}
}

func (c *client) send(request string) {
	c.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer, and the blob after it.
func (c *client) answer() (json string, body []byte) {
	c.t.Helper()
	json, body, err := c.read()
	if err != nil {
		c.t.Fatalf("instead of an answer, after %q: %v", json, err)
	}
	return json, body
}

func (c *client) read() (json string, body []byte, err error) {
	for {
		message, err := c.in.Next()
		if err != nil {
			return "", nil, err
		}
		if message != nil {
			json = string(message)
			break
		}
		n, err := c.Read(c.in.Room())
		if err != nil {
			return "", nil, err
		}
		c.in.Add(n)
	}
	res, err := peer.ParseResponse([]byte(json))
	if err != nil || res.Incoming == nil || res.Incoming.Error != "" {
		return json, nil, err
	}
	body = make([]byte, res.Incoming.Length)
	_, err = io.ReadFull(c, body[c.in.Take(body):])
	return json, body, err
}

// ask sends a request and reads its answer.
func (c *client) ask(request string) (json string, body []byte) {
	c.t.Helper()
	c.send(request)
	return c.answer()
}

// wantClose demands that the server closes without another byte.
func (c *client) wantClose(after string) {
	c.t.Helper()
	rest, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("after %.100q the server does not close", after)
	}
	if len(rest) > 0 {
		c.t.Errorf("after %.100q came %.200q", after, rest)
	}
}

// What every answer starts with.
const top = `{"lbrycrd_address":"bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct","available_blobs":`

// missing is how an answer ends whose blob is not there.
const missing = `"incoming_blob":{"error":"blob not found","blob_hash":"","length":0}}`

// hexOf is the name of data.
func hexOf(data []byte) string { return blob.Sum(data).String() }

// forBlob is the request of a Go client.
func forBlob(data []byte) string { return `{"requested_blob":"` + hexOf(data) + `"}` }

// content is n bytes that a seed decides.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	_, _ = r.Read(b)
	return b
}

// until waits for a condition that must come true soon.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// wantBlob demands an answer with these bytes.
func (c *client) wantBlob(data []byte) {
	c.t.Helper()
	if json, body := c.answer(); !bytes.Equal(body, data) {
		c.t.Errorf("%d bytes that are not the blob of %d, after %s", len(body), len(data), json)
	}
}
