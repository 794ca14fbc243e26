package http3d_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
)

// What this package's tests take from the kit of all frontends.
var (
	newShelf = frontendtest.NewShelf
	content  = frontendtest.Content
	until    = frontendtest.Until
)

// server is a running server of a test. The test's end drains it and looks for what it forgot.
type server struct {
	*http3d.Server
	*frontendtest.Serving
	t    testing.TB
	addr string
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
	s := &server{Server: srv, t: t, addr: pc.LocalAddr().String()}
	pc = wrap(pc)
	s.Serving = frontendtest.Serve(t, func(ctx context.Context) error { return srv.Serve(ctx, pc) }, func() {
		s.idle()
		if p, ok := o.Store.(stores.Pinner); ok && p.Pinned() != 0 {
			t.Errorf("%d handles were not released", p.Pinned())
		}
	})
	return s
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
