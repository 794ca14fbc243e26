package httpd_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
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
	*httpd.Server
	*frontendtest.Serving
	t    testing.TB
	addr string
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
	s := &server{Server: srv, t: t, addr: ln.Addr().String()}
	s.Serving = frontendtest.Serve(t, func(ctx context.Context) error { return srv.Serve(ctx, ln) }, func() {
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
