package httpd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// mapped is a store of one blob in a mapped file. Once its last handle is released the file is overwritten, as a punch
// would, so that bytes which leave after their pin are wrong bytes.
type mapped struct {
	*frontendtest.Shelf
	file *os.File
	mem  []byte
	size int64
	name blob.Hash

	wiped atomic.Bool
}

func newMapped(t *testing.T, data []byte) *mapped {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "segment"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, len(data), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	m := &mapped{Shelf: newShelf(), file: f, mem: mem, size: int64(len(data)), name: blob.Sum(data)}
	t.Cleanup(func() { // after the server's, which was started later
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
		f.Close()
	})
	return m
}

func (m *mapped) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := m.Fetch(ctx, h); err != nil {
		return nil, err
	}
	if h != m.name || m.wiped.Load() {
		return nil, blob.ErrNotFound
	}
	m.Pins.Add(1)
	return &mapping{m: m}, nil
}

// mapping is a handle of mapped.
type mapping struct{ m *mapped }

func (h *mapping) Size() int64 { return h.m.size }

func (h *mapping) SendTo(s blob.Sink, off, n int64) (int64, error) {
	k, err := s.Write(h.m.mem[off : off+n])
	return int64(k), err
}

func (h *mapping) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.NewSectionReader(h, 0, h.m.size)},
		make([]byte, 32<<10))
}

func (h *mapping) ReadAt(p []byte, off int64) (int, error) { return h.m.file.ReadAt(p, off) }

func (h *mapping) Release() {
	if h.m.Pins.Add(-1) == 0 {
		h.m.wiped.Store(true)
		if _, err := h.m.file.WriteAt(bytes.Repeat([]byte{0xff}, int(h.m.size)), 0); err != nil {
			panic(err)
		}
	}
}

func requestFor(h blob.Hash, header ...string) string {
	return strings.Join(append([]string{"GET /" + h.String() + " HTTP/1.1", "Host: x"}, header...), "\r\n") + "\r\n\r\n"
}

// BAD-INPUTS 14: a reader with a tiny window, of mapped memory that changes as soon as it is not pinned any more.
func TestMappedToSlowReader(t *testing.T) {
	data := content(3, blob.MaxSize)
	m := newMapped(t, data)
	s := start(t, httpd.Options{Store: m})
	c := frontendtest.Narrow(t, s.addr)
	if _, err := io.WriteString(c, requestFor(m.name, "Connection: close")); err != nil {
		t.Fatal(err)
	}
	until(t, "the body to be on its way", func() bool { return s.Stats().Sending == 1 })
	if st := s.Stats(); st.InFlight != 0 {
		t.Errorf("a reader holds %d slots", st.InFlight)
	}
	if m.Pinned() != 1 {
		t.Errorf("%d pins while the body leaves", m.Pinned())
	}
	var got bytes.Buffer
	for piece := make([]byte, 4<<10); ; {
		n, err := c.Read(piece)
		got.Write(piece[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, body, _ := bytes.Cut(got.Bytes(), []byte("\r\n\r\n"))
	if !bytes.Equal(body, data) {
		t.Errorf("%d bytes that are not the blob, %d expected", len(body), len(data))
	}
	if st := s.Stats(); st.Downloads != 1 || st.BytesOut != uint64(len(data)) {
		t.Errorf("%d downloads, %d bytes counted", st.Downloads, st.BytesOut)
	}
	if !m.wiped.Load() {
		t.Error("the handle was not released")
	}
}

// The sizes around net/http's buffers and the handle's limits, over keep-alive, whole and in parts.
func TestSizes(t *testing.T) {
	var blobs [][]byte
	for _, n := range []int{1, 2047, 2048, 2049, 3600, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, blob.MaxSize} {
		blobs = append(blobs, content(uint64(n), n))
	}
	for name, listen := range map[string]func(net.Listener) net.Listener{
		"tcp":     func(l net.Listener) net.Listener { return l },
		"wrapped": func(l net.Listener) net.Listener { return opaque{l} },
	} {
		t.Run(name, func(t *testing.T) {
			s := startOn(t, httpd.Options{Store: newShelf(blobs...)}, listen)
			c := s.dial()
			for i, b := range blobs {
				last := ""
				if i == len(blobs)-1 {
					last = "Connection: close\r\n"
				}
				for _, r := range []struct{ off, n int }{{0, len(b)}, {len(b) / 2, len(b) - len(b)/2}, {0, (len(b) + 1) / 2}} {
					part := fmt.Sprintf("Range: bytes=%d-%d", r.off, r.off+r.n-1)
					if _, err := io.WriteString(c, requestFor(blob.Sum(b), part)); err != nil {
						t.Fatal(err)
					}
					expect(t, c, "206", b[r.off:r.off+r.n])
				}
				request := strings.TrimSuffix(requestFor(blob.Sum(b)), "\r\n") + last + "\r\n"
				if _, err := io.WriteString(c, request); err != nil {
					t.Fatal(err)
				}
				expect(t, c, "200", b)
			}
			if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
				t.Errorf("after the last answer: %q, %v", rest, err)
			}
			if got := s.Stats().Downloads; got != uint64(len(blobs)) {
				t.Errorf("%d downloads counted, want %d", got, len(blobs))
			}
		})
	}
}

// opaque hides what kind of connection it accepts.
type opaque struct{ net.Listener }

func (o opaque) Accept() (net.Conn, error) {
	c, err := o.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

// expect reads one answer and compares it.
func expect(t *testing.T, c io.Reader, code string, body []byte) {
	t.Helper()
	var top []byte
	for one := make([]byte, 1); !bytes.HasSuffix(top, []byte("\r\n\r\n")); top = append(top, one...) {
		if _, err := io.ReadFull(c, one); err != nil {
			t.Fatalf("after %q: %v", top, err)
		}
	}
	if status(string(top)) != code || !strings.Contains(string(top), fmt.Sprintf("\r\nContent-Length: %d\r\n", len(body))) {
		t.Fatalf("got %q, want %s with %d bytes", top, code, len(body))
	}
	got := make([]byte, len(body))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, body) {
		t.Fatalf("%d wrong bytes", len(got))
	}
}

// A header that is larger than net/http's buffer still comes before the body, and Via stays JSON.
func TestLongVia(t *testing.T) {
	data := content(20, 100_000)
	store := newShelf(data)
	store.First(func(ctx context.Context, _ blob.Hash) error {
		for range 40 {
			blob.TraceOf(ctx).Add(blob.Hop{Origin: "caching\r\nSet-Cookie: x", Host: strings.Repeat("é\"", 60)})
		}
		return nil
	})
	s := start(t, httpd.Options{Store: store})
	top, body := s.get("/" + blob.Sum(data).String())
	if body != string(data) {
		t.Errorf("%d bytes came, or wrong ones", len(body))
	}
	_, via, _ := strings.Cut(top, "\r\nVia: ")
	via, _, _ = strings.Cut(via, "\r\n")
	if len(top) < 4096 || !json.Valid([]byte(via)) || strings.Contains(top, "\nSet-Cookie") {
		t.Errorf("%d bytes of header:\n%s", len(top), top)
	}
}

// Several answers of all kinds on one connection leave it in step; so does HTTP/1.0 with keep-alive.
func TestKeepAlive(t *testing.T) {
	here := content(5, 5000)
	s := start(t, httpd.Options{Store: newShelf(here)})
	h := blob.Sum(here)
	var all strings.Builder
	for _, r := range []string{
		"HEAD /blob?hash=" + h.String(), "GET /blob?hash=", "HEAD /" + h.String(), "GET /nothing", "GET /has/" + h.String(),
		"PATCH /", "GET /" + h.String(),
	} {
		all.WriteString(r + " HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	all.WriteString("GET /" + h.String() + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	all.WriteString("GET /" + h.String() + " HTTP/1.0\r\n\r\n")
	got := s.talk(all.String())
	var codes []string
	for _, part := range strings.Split(got, "HTTP/1.")[1:] {
		codes = append(codes, part[:5])
	}
	want := "[1 204 1 400 1 200 1 404 1 200 1 405 1 200 0 200 0 200]"
	if fmt.Sprint(codes) != want {
		t.Errorf("got %v, want %s", codes, want)
	}
	if n := strings.Count(got, string(here)); n != 3 {
		t.Errorf("%d bodies, want 3", n)
	}
}

// A body is not read, so there is no telling where a request after it would begin: the connection ends.
func TestBodyEndsConnection(t *testing.T) {
	here := content(5, 5000)
	s := start(t, httpd.Options{Store: newShelf(here)})
	for _, body := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		next := "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
		got := s.talk("GET /" + blob.Sum(here).String() + " HTTP/1.1\r\nHost: x\r\n" + body + next)
		if status(got) != "200" || !strings.HasSuffix(got, string(here)) {
			t.Errorf("%q: got %q", body, clip(got))
		}
	}
}

// spoiled is a handle whose reads fail after a number of bytes.
type spoiled struct {
	blob.Handle
	after int64
}

var errSpoiled = fmt.Errorf("segments: read record 7:4096: %w", blob.ErrCorrupt)

func (h spoiled) SendTo(s blob.Sink, off, n int64) (int64, error) {
	k, err := h.Handle.SendTo(s, off, min(n, max(0, h.after-off)))
	if err == nil && k < n {
		err = errSpoiled
	}
	return k, err
}

func (h spoiled) WriteTo(w io.Writer) (int64, error) {
	k, err := io.Copy(w, io.NewSectionReader(h.Handle, 0, h.after))
	if err == nil && k < h.Size() {
		err = errSpoiled
	}
	return k, err
}

func (h spoiled) ReadAt(p []byte, off int64) (int, error) {
	if off >= h.after {
		return 0, errSpoiled
	}
	return h.Handle.ReadAt(p[:min(int64(len(p)), h.after-off)], off)
}

// A read that fails before anything left is asked again, once; after that the connection is cut.
func TestFailedReads(t *testing.T) {
	here := content(6, 300_000)
	for name, listen := range map[string]func(net.Listener) net.Listener{
		"tcp":     func(l net.Listener) net.Listener { return l },
		"wrapped": func(l net.Listener) net.Listener { return opaque{l} },
	} {
		for _, c := range []struct {
			name  string
			after []int64 // of each handle in turn
			part  bool
			want  string
			calls int64
		}{
			{"at once, then good", []int64{0, 1 << 30}, false, "200", 2},
			{"at once, twice", []int64{0, 0}, false, "502", 2},
			{"midway", []int64{100_000, 1 << 30}, false, "cut", 1},
			{"part, midway", []int64{200_000, 1 << 30}, true, "cut", 1},
			{"part, at once, then good", []int64{0, 1 << 30}, true, "206", 2},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				store := newShelf(here)
				store.Wrapping(func(h blob.Handle) blob.Handle {
					after := c.after[0]
					c.after = c.after[1:]
					return spoiled{h, min(after, h.Size())}
				})
				s := startOn(t, httpd.Options{Store: store}, listen)
				request := requestFor(blob.Sum(here), "Connection: close")
				want := here
				if c.part {
					request = requestFor(blob.Sum(here), "Connection: close", "Range: bytes=100000-")
					want = here[100_000:]
				}
				top, body, _ := strings.Cut(s.talk(request), "\r\n\r\n")
				switch c.want {
				case "cut":
					if len(body) >= len(want) || !strings.HasPrefix(string(want), body) {
						t.Errorf("%d bytes of %d came, or wrong ones", len(body), len(want))
					}
				case "502":
					if status(top) != "502" || strings.Contains(top, "Etag") || strings.Contains(top, "Content-Disp") {
						t.Errorf("got %s", top)
					}
				default:
					if status(top) != c.want || body != string(want) {
						t.Errorf("got %s and %d bytes, want %s", top, len(body), c.want)
					}
				}
				if got := store.Calls(); got != c.calls {
					t.Errorf("the store was asked %d times, want %d", got, c.calls)
				}
			})
		}
	}
}

// A page that cannot be read is an error of the system call: the connection is cut, and the process lives.
func TestMappedPageIsGone(t *testing.T) {
	data := content(7, blob.MaxSize)
	for _, left := range []int64{blob.MaxSize / 2, 0} {
		m := newMapped(t, data)
		s := start(t, httpd.Options{Store: m})
		if err := m.file.Truncate(left); err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(s.talk(requestFor(m.name, "Connection: close")), "\r\n\r\n")
		if len(body) > int(left) || !strings.HasPrefix(string(data), body) {
			t.Errorf("%d bytes came of %d", len(body), left)
		}
		until(t, "the handle's release", func() bool { return m.Pinned() == 0 })
	}
}

// BAD-INPUTS 15: clients that reset in the middle of a body.
func TestResets(t *testing.T) {
	data := content(8, blob.MaxSize)
	s := start(t, httpd.Options{Store: newShelf(data)})
	request := requestFor(blob.Sum(data))
	var wg sync.WaitGroup
	const clients, each = 8, 250
	for range clients {
		wg.Go(func() {
			for range each {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(c, request)
				_, _ = io.CopyN(io.Discard, c, 1000)
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
	wg.Wait()
	until(t, "all of them to be noticed", func() bool { return s.Stats().Connections == 0 })
	st := s.Stats()
	if got := st.Errors["write_conn_reset"] + st.Errors["write_broken_pipe"]; got == 0 {
		t.Errorf("no reset was counted: %v", st.Errors)
	}
	if got := requests(st, httpd.StatusClientGone); got+st.Downloads != clients*each {
		t.Errorf("%d cut and %d complete, want %d together", got, st.Downloads, clients*each)
	}
}

// A panic ends one connection, and says so without the request.
func TestPanic(t *testing.T) {
	data := content(9, 100_000)
	store := newShelf(data)
	var log bytes.Buffer
	s := start(t, httpd.Options{Store: store, Logger: textLog(&log)})
	store.First(func(context.Context, blob.Hash) error { panic("a bug") })
	if top, _ := s.get("/" + blob.Sum(data).String() + "?edge_token=sesame"); status(top) != "500" {
		t.Errorf("before the answer: %s", top)
	}
	store.First(nil)
	store.Wrapping(func(h blob.Handle) blob.Handle { return bomb{h} })
	top, body := s.get("/" + blob.Sum(data).String())
	if len(body) >= len(data) {
		t.Errorf("in the body: %s and %d bytes", top, len(body))
	}
	store.Wrapping(nil)
	if top, _ := s.get("/" + blob.Sum(data).String()); status(top) != "200" {
		t.Errorf("afterwards: %s", top)
	}
	if err := s.Drain(); err != nil {
		t.Error(err)
	}
	if got := s.Stats().Panics; got != 2 {
		t.Errorf("%d panics counted, want 2", got)
	}
	if text := log.String(); !strings.Contains(text, "a bug") || strings.Contains(text, "sesame") {
		t.Errorf("the log says %s", text)
	}
}

// bomb is a handle that panics midway.
type bomb struct{ blob.Handle }

func (b bomb) SendTo(s blob.Sink, off, n int64) (int64, error) {
	_, _ = b.Handle.SendTo(s, off, n/2)
	panic("a bug")
}

// A client that leaves while the store works ends the work, and is not answered.
func TestClientLeaves(t *testing.T) {
	store := newShelf()
	working, over := make(chan struct{}), make(chan error, 1)
	store.First(func(ctx context.Context, _ blob.Hash) error {
		close(working)
		<-ctx.Done()
		over <- ctx.Err()
		return ctx.Err()
	})
	s := start(t, httpd.Options{Store: store})
	c := s.dial()
	if _, err := io.WriteString(c, requestFor(blob.Sum(nil))); err != nil {
		t.Fatal(err)
	}
	<-working
	c.Close()
	select {
	case err := <-over:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the store was told %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the store still works for a client that left")
	}
	until(t, "the request to end", func() bool { return requests(s.Stats(), httpd.StatusClientGone) == 1 })
}
