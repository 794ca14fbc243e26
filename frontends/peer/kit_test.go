package peerd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/protocol/peer"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// What this package's tests take from the kit of all frontends.
var (
	content = frontendtest.Content
	until   = frontendtest.Until
)

// shelf is a disk store that a test can hold up, break and count.
type shelf struct {
	*disk.Store
	frontendtest.Hooks
}

var _ stores.Store = (*shelf)(nil)

// newShelf opens a store of segments with these blobs.
func newShelf(t testing.TB, blobs ...[]byte) *shelf {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	dir := t.TempDir()
	checktest.After(t, nil, dir)
	d, err := disk.Open(t.Context(), disk.Options{
		MountPoint: dir, MaxSize: 1 << 30, SegmentSize: 16 << 20, Sync: "never", Logger: slog.New(slog.DiscardHandler),
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

func (s *shelf) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.Look(ctx, h); err != nil {
		return false, err
	}
	return s.Store.Has(ctx, h)
}

func (s *shelf) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := s.Fetch(ctx, h); err != nil {
		return nil, err
	}
	out, err := s.Store.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	return s.Wrap(out), nil
}

// server is a running server of a test. The test's end drains it and looks for what it forgot.
type server struct {
	*peerd.Server
	*frontendtest.Serving
	t    testing.TB
	addr string
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
	s := &server{Server: srv, t: t, addr: ln.Addr().String()}
	s.Serving = frontendtest.Serve(t, func(ctx context.Context) error { return srv.Serve(ctx, ln) }, s.idle)
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

// client is a connection of a test.
type client struct {
	*net.TCPConn
	t  testing.TB
	in peer.Messages
}

func (s *server) dial() *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return s.over(c.(*net.TCPConn))
}

// narrow opens a connection whose receive buffer is as small as the kernel lets it be.
func (s *server) narrow() *client { return s.over(frontendtest.Narrow(s.t, s.addr)) }

func (s *server) over(c *net.TCPConn) *client {
	s.t.Helper()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return &client{TCPConn: c, t: s.t}
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

// wantBlob demands an answer with these bytes.
func (c *client) wantBlob(data []byte) {
	c.t.Helper()
	if json, body := c.answer(); !bytes.Equal(body, data) {
		c.t.Errorf("%d bytes that are not the blob of %d, after %s", len(body), len(data), json)
	}
}
