package httpd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
)

// shelf is a store of real bytes in memory that a test can hold up, break and count.
type shelf struct {
	mu     sync.Mutex
	blobs  map[blob.Hash][]byte
	before func(ctx context.Context, h blob.Hash) error
	wrap   func(blob.Handle) blob.Handle

	calls  atomic.Int64
	pinned atomic.Int64
}

var (
	_ stores.Store  = (*shelf)(nil)
	_ stores.Pinner = (*shelf)(nil)
)

func newShelf(blobs ...[]byte) *shelf {
	s := &shelf{blobs: map[blob.Hash][]byte{}}
	for _, b := range blobs {
		s.blobs[blob.Sum(b)] = b
	}
	return s
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

func (s *shelf) Name() string { return "mem-shelf" }

func (s *shelf) Pinned() int { return int(s.pinned.Load()) }

func (s *shelf) find(ctx context.Context, h blob.Hash) ([]byte, error) {
	s.calls.Add(1)
	s.mu.Lock()
	before, b := s.before, s.blobs[h]
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx, h); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (s *shelf) Has(ctx context.Context, h blob.Hash) (bool, error) {
	b, err := s.find(ctx, h)
	return b != nil, err
}

func (s *shelf) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	defer blob.TraceOf(ctx).Add(blob.Hop{Origin: s.Name(), Elapsed: 81 * time.Microsecond})
	b, err := s.find(ctx, h)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, blob.ErrNotFound
	}
	s.pinned.Add(1)
	var out blob.Handle = &page{Reader: bytes.NewReader(b), s: s, b: b}
	s.mu.Lock()
	wrap := s.wrap
	s.mu.Unlock()
	if wrap != nil {
		out = wrap(out)
	}
	return out, nil
}

func (s *shelf) Put(_ context.Context, v blob.Verified, _ blob.Kind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[v.Hash()] = bytes.Clone(v.Bytes())
	return nil
}

func (s *shelf) Delete(_ context.Context, h blob.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, h)
	return nil
}

func (s *shelf) Close() error { return nil }

// page is a handle of shelf.
type page struct {
	*bytes.Reader
	s *shelf
	b []byte
}

func (p *page) SendTo(s blob.Sink, off, n int64) (int64, error) {
	k, err := s.Write(p.b[off : off+n])
	return int64(k), err
}

func (p *page) WriteTo(w io.Writer) (int64, error) {
	k, err := w.Write(p.b)
	return int64(k), err
}

func (p *page) Release() { p.s.pinned.Add(-1) }

// server is a running server of a test. The test's end drains it and looks for what it forgot.
type server struct {
	*httpd.Server
	t     testing.TB
	addr  string
	stop  context.CancelFunc
	ended chan error
	once  sync.Once
	err   error
}

func start(t testing.TB, o httpd.Options) *server {
	t.Helper()
	return startOn(t, o, func(ln net.Listener) net.Listener { return ln })
}

// startOn is start with a listener that wrap makes of a real one.
func startOn(t testing.TB, o httpd.Options, wrap func(net.Listener) net.Listener) *server {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln = wrap(ln)
	if o.HostName == "" {
		o.HostName = "edge1"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 10 * time.Second
	}
	srv, err := httpd.New(o)
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
		if p, ok := o.Store.(stores.Pinner); ok && p.Pinned() != 0 {
			t.Errorf("%d handles were not released", p.Pinned())
		}
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

// dial opens a connection that the test's end closes.
func (s *server) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// talk sends raw bytes on a new connection and gives everything that comes back until the server closes. Errors after
// some answer are part of life: a server may close while the client still sends.
func (s *server) talk(request string) string {
	s.t.Helper()
	c := s.dial()
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, request)
	}()
	answer, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.t.Errorf("the server did not close after %q", clip(request))
	}
	c.Close()
	<-sent
	return string(answer)
}

// get asks for a path on a connection of its own, with further header lines, and gives status, header and body.
func (s *server) get(path string, header ...string) (head, body string) {
	s.t.Helper()
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: x", "Connection: close"}, header...)
	head, body, _ = strings.Cut(s.talk(strings.Join(lines, "\r\n")+"\r\n\r\n"), "\r\n\r\n")
	return head, body
}

// status is the code of a raw answer, or "" when there is none.
func status(answer string) string {
	if fields := strings.Fields(answer); len(fields) > 1 && strings.HasPrefix(fields[0], "HTTP/1.") {
		return fields[1]
	}
	return ""
}

// plain makes a raw answer comparable: unix line ends, and no date.
func plain(answer string) string {
	answer = strings.ReplaceAll(answer, "\r\n", "\n")
	return dateLine.ReplaceAllString(answer, "")
}

var dateLine = regexp.MustCompile(`(?m)^Date: .*\n`)

func clip(s string) string { return s[:min(len(s), 200)] }

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

// requests adds up a status over all paths.
func requests(st httpd.Stats, status int) (n uint64) {
	for _, r := range st.Requests {
		if r.Status == status {
			n += r.Count
		}
	}
	return n
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
