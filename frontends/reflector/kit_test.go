package reflector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// What this package's tests take from the kit of all frontends.
var (
	content = frontendtest.Content
	until   = frontendtest.Until
)

// shelf is a real mount on disk whose calls a test can count, hold up and break.
type shelf struct {
	*disk.Store
	puts, asked atomic.Int64

	mu   sync.Mutex
	kind map[blob.Hash]blob.Kind                      // of each Put that succeeded
	put  func(ctx context.Context, h blob.Hash) error // runs before each Put
	has  func(ctx context.Context, h blob.Hash) error // runs before each Has
}

// newShelf opens a mount on which a Put that returned is durable. It looks for leaks from here on.
func newShelf(t testing.TB) *shelf {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	dir := t.TempDir()
	checktest.After(t, nil, dir)
	d, err := disk.Open(t.Context(), disk.Options{
		MountPoint: dir, Mode: disk.ModeSegments, SegmentSize: 64 << 20, Sync: "always",
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := d.Pinned(); n != 0 {
			t.Errorf("%d handles were not released", n)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return &shelf{Store: d, kind: map[blob.Hash]blob.Kind{}}
}

// onPut makes f run before each Put, whose error it may be.
func (s *shelf) onPut(f func(ctx context.Context, h blob.Hash) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = f
}

// onHas is the same for Has.
func (s *shelf) onHas(f func(ctx context.Context, h blob.Hash) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = f
}

func (s *shelf) Has(ctx context.Context, h blob.Hash) (bool, error) {
	s.asked.Add(1)
	s.mu.Lock()
	f := s.has
	s.mu.Unlock()
	if f != nil {
		if err := f(ctx, h); err != nil {
			return false, err
		}
	}
	return s.Store.Has(ctx, h)
}

func (s *shelf) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	s.puts.Add(1)
	s.mu.Lock()
	f := s.put
	s.mu.Unlock()
	if f != nil {
		if err := f(ctx, v.Hash()); err != nil {
			return err
		}
	}
	if err := s.Store.Put(ctx, v, kind); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kind[v.Hash()] = kind
	return nil
}

// holds demands that the mount has these bytes, as that kind.
func (s *shelf) holds(t testing.TB, data []byte, kind blob.Kind) {
	t.Helper()
	h := blob.Sum(data)
	handle, err := s.Get(context.Background(), h)
	if err != nil {
		t.Errorf("blob %s: %v", h.Short(), err)
		return
	}
	defer handle.Release()
	var got bytes.Buffer
	if _, err := handle.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Errorf("blob %s: %d bytes, %v", h.Short(), got.Len(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kind[h] != kind {
		t.Errorf("blob %s is stored as %v, want %v", h.Short(), s.kind[h], kind)
	}
}

// lacks demands that the mount does not have a blob.
func (s *shelf) lacks(t testing.TB, h blob.Hash) {
	t.Helper()
	if has, err := s.Store.Has(context.Background(), h); has || err != nil {
		t.Errorf("blob %s: has %v, %v", h.Short(), has, err)
	}
}

// server is a running server of a test.
type server struct {
	*reflector.Server
	*frontendtest.Serving
	t    testing.TB
	addr string
}

// start runs a server. The test's end drains it.
func start(t testing.TB, o reflector.Options) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, o, ln)
}

func startOn(t testing.TB, o reflector.Options, ln net.Listener) *server {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	srv, err := reflector.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: srv, t: t, addr: ln.Addr().String()}
	s.Serving = frontendtest.Serve(t, func(ctx context.Context) error { return srv.Serve(ctx, ln) }, func() {
		if st := s.Stats(); st.Connections != 0 || st.Uploads != 0 {
			t.Errorf("after the end: %d connections, %d uploads", st.Connections, st.Uploads)
		}
	})
	return s
}

// talk is a raw connection of a test, which its end closes.
type talk struct {
	*net.TCPConn
	t testing.TB
}

func (s *server) dial() *talk {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return &talk{TCPConn: c.(*net.TCPConn), t: s.t}
}

// greet is a connection after its handshake.
func (s *server) greet() *talk {
	s.t.Helper()
	c := s.dial()
	c.say(`{"version":1}`)
	c.hear(`{"version":1}`)
	return c
}

// say sends texts in one write.
func (c *talk) say(texts ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, strings.Join(texts, "")); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// hear demands exactly these answers next.
func (c *talk) hear(texts ...string) {
	c.t.Helper()
	want := strings.Join(texts, "")
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.TCPConn, got); err != nil || string(got) != want {
		c.t.Fatalf("heard %.300q (%v), want %.300q", got[:n], err, want)
	}
}

// gone demands that the server closes, without another byte.
func (c *talk) gone() {
	c.t.Helper()
	got, err := io.ReadAll(c.TCPConn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatal("the server did not close")
	}
	if len(got) > 0 {
		c.t.Fatalf("heard %.300q before the close", got)
	}
	c.Close()
}

// client is a client of the server, which the test's end closes.
func (s *server) client() *reflectclient.Client {
	s.t.Helper()
	c, err := reflectclient.Dial(s.t.Context(), s.addr, reflectclient.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// offer is a request as the SDK writes it.
func offer(data []byte) string { return request("", blob.Sum(data).String(), fmt.Sprint(len(data))) }

func offerSD(data []byte) string {
	return request("sd_", blob.Sum(data).String(), fmt.Sprint(len(data)))
}

func request(prefix, hash, size string) string {
	return fmt.Sprintf(`{"%[1]sblob_hash": "%[2]s", "%[1]sblob_size": %[3]s}`, prefix, hash, size)
}

// descriptor is an SD blob of those content blobs.
func descriptor(blobs ...[]byte) []byte {
	var b strings.Builder
	b.WriteString(`{"blobs": [`)
	for i, data := range blobs {
		fmt.Fprintf(&b, `{"blob_hash": "%s", "blob_num": %d, "iv": "00", "length": %d}, `, blob.Sum(data), i, len(data))
	}
	fmt.Fprintf(&b, `{"blob_num": %d, "iv": "00", "length": 0}], "stream_hash": "%s"}`, len(blobs), strings.Repeat("ab", 48))
	return []byte(b.String())
}

func verified(t testing.TB, data []byte) blob.Verified {
	t.Helper()
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// hashes is the JSON list of the names of blobs.
func hashes(blobs ...[]byte) string {
	var list []string
	for _, data := range blobs {
		list = append(list, `"`+blob.Sum(data).String()+`"`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// catalogue is a shelf that knows what is blocked and which streams there are.
type catalogue struct {
	*shelf
	blocked map[blob.Hash]bool
	missing map[blob.Hash][]blob.Hash
}

func (c *catalogue) Wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	if c.blocked[h] {
		return false, true, nil
	}
	has, err := c.Has(ctx, h)
	return !has, false, err
}

func (c *catalogue) MissingForStream(_ context.Context, sd blob.Hash) ([]blob.Hash, bool, error) {
	missing, known := c.missing[sd]
	return missing, known, nil
}

var (
	_ stores.Store        = (*shelf)(nil)
	_ stores.Wanter       = (*catalogue)(nil)
	_ stores.StreamKnower = (*catalogue)(nil)
)
