package http3d_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
)

// shelf is a store of real bytes in memory that a test can hold up.
type shelf struct {
	blobs  map[blob.Hash][]byte
	before func(context.Context) error // runs at the start of each call; its error is the answer
	calls  atomic.Int64
	pinned atomic.Int64
}

func newShelf(blobs ...[]byte) *shelf {
	s := &shelf{blobs: map[blob.Hash][]byte{}}
	for _, b := range blobs {
		s.blobs[blob.Sum(b)] = b
	}
	return s
}

func (s *shelf) Name() string { return "mem-shelf" }
func (s *shelf) Pinned() int  { return int(s.pinned.Load()) }
func (s *shelf) Close() error { return nil }

func (s *shelf) find(ctx context.Context, h blob.Hash) ([]byte, error) {
	s.calls.Add(1)
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return nil, err
		}
	}
	return s.blobs[h], nil
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
	return &page{Reader: bytes.NewReader(b), s: s, b: b}, nil
}

func (s *shelf) Put(context.Context, blob.Verified, blob.Kind) error { return errors.ErrUnsupported }
func (s *shelf) Delete(context.Context, blob.Hash) error             { return errors.ErrUnsupported }

var (
	_ stores.Store  = (*shelf)(nil)
	_ stores.Pinner = (*shelf)(nil)
)

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
	*http3d.Server
	t     testing.TB
	addr  string
	stop  context.CancelFunc
	ended chan error
	once  sync.Once
	err   error
}

// options are those of a server over a store, with what tests want.
func options(store stores.Store) http3d.Options {
	return http3d.Options{Options: httpd.Options{
		Store: store, HostName: "edge1", Logger: slog.New(slog.DiscardHandler), DrainTimeout: 10 * time.Second,
	}}
}

func start(t testing.TB, o http3d.Options) *server {
	t.Helper()
	return startOn(t, o, func(pc net.PacketConn) net.PacketConn { return pc })
}

// startOn is start with a socket that wrap makes of a real one.
func startOn(t testing.TB, o http3d.Options, wrap func(net.PacketConn) net.PacketConn) *server {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := http3d.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{Server: srv, t: t, addr: pc.LocalAddr().String(), stop: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- srv.Serve(ctx, wrap(pc)) }()
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
	if st := s.Stats(); st.InFlight != 0 || st.Queue != 0 || st.Sending != 0 || st.Connections != 0 || st.Handshakes != 0 {
		s.t.Errorf("after the end: %d in flight, %d queued, %d sending, %d connections, %d handshakes",
			st.InFlight, st.Queue, st.Sending, st.Connections, st.Handshakes)
	}
}

func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}} //nolint:gosec // certificates of tests
}

// client makes a client of its own connection, which the test's end closes.
func (s *server) client(o *quic.Config) *http3.Transport {
	c := &http3.Transport{TLSClientConfig: clientTLS(), QUICConfig: o, DisableCompression: true}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request and reads the whole answer.
func (s *server) ask(c *http3.Transport, method, path string, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+s.addr+path, nil)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, err
}

// must is ask for an answer that has to come.
func (s *server) must(c *http3.Transport, method, path string, header ...string) answer {
	s.t.Helper()
	a, err := s.ask(c, method, path, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// dial opens a bare connection, on which the test speaks for itself.
func (s *server) dial(o *quic.Config) *quic.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.addr, clientTLS(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	return conn
}

// content is n bytes that a seed decides.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 3}).Read(b)
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
