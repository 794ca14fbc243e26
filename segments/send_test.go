package segments_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/cachetest"
	"github.com/OdyseeTeam/prism/segments"
)

// tcpSink is a plain TCP socket: its Write is write(2).
type tcpSink struct{ *net.TCPConn }

func (tcpSink) KernelSink() {}

// tcp makes a connection whose buffers hold little of a blob. (A receive buffer smaller than a segment of the loopback
// device makes the kernel wait 200 ms for each.)
func tcp(t testing.TB) (server tcpSink, client *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(dialed.Close(), accepted.Close()) })
	if err := errors.Join(dialed.SetReadBuffer(128<<10), accepted.SetWriteBuffer(64<<10)); err != nil {
		t.Fatal(err)
	}
	return tcpSink{accepted}, dialed
}

// sent is what SendTo returned.
type sent struct {
	n   int64
	err error
}

// send starts a SendTo whose result can be waited for.
func send(h *segments.Handle, to tcpSink, off, n int64) <-chan sent {
	done := make(chan sent, 1)
	go func() {
		var r sent
		r.n, r.err = h.SendTo(to, off, n)
		done <- r
	}()
	return done
}

// mustReceive reads exactly want from the client's end, after SendTo returned that many bytes.
func mustReceive(t *testing.T, client io.Reader, done <-chan sent, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.n != int64(len(want)) || r.err != nil {
		t.Errorf("sent %d of %d bytes, %v", r.n, len(want), r.err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("wrong bytes of %d arrived", len(want))
	}
}

// TestSendToTCP sends whole payloads and ranges of them, small and large, from the mapping and from buffers.
func TestSendToTCP(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 2048)
		for _, n := range []int{1, 4096, segments.SmallMax, segments.SmallMax + 1, 400_001, blob.MaxSize} {
			p := content(uint64(n), n)
			rec := put(t, s, p)
			for _, mode := range []string{"hot", "proven", "cold", "cold without a buffer"} {
				t.Run(fmt.Sprint(n, " ", mode), func(t *testing.T) {
					bufs := segments.NewBuffers(1)
					if mode == "cold without a buffer" {
						bufs = segments.NewBuffers(0)
					}
					if mode[0] == 'c' && b.dir != "/segments" {
						cachetest.Forget(t, b.path(1))
					}
					h := open(t, b.at(t, 1), rec, bufs, mode == "proven") // with no page of it mapped yet
					server, client := tcp(t)
					size := int64(n)
					tail := min(size, 100)
					for _, c := range [][2]int64{
						{0, size}, {size - tail, tail}, {0, tail}, {size / 3, size / 2},
						{max(0, size-blob.MinSinkWrite), min(size, blob.MinSinkWrite)}, {1 % size, size - 1%size},
					} {
						mustReceive(t, client, send(h, server, c[0], c[1]), p[c[0]:c[0]+c[1]])
					}
				})
			}
		}
	})
}

// TestWhereBytesAreSentFrom: a payload that is in the page cache leaves from it, and any other from a buffer that was
// filled and proven when the handle was opened. A write behind the handle's back tells them apart. A kernel that cannot
// tell what is cached has all of them sent from buffers, while there are some.
func TestWhereBytesAreSentFrom(t *testing.T) {
	b := osBed(t)
	s := b.create(t, 1, 2048)
	const n = 300_000
	rec := put(t, s, content(1, n))
	f, err := b.fs.Open(b.path(1), true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.Cached(0, 1)
	blind := errors.Is(err, errors.ErrUnsupported)
	for _, c := range []struct {
		name  string
		cold  bool
		prove bool
		large int
	}{
		{"hot", false, false, 1},
		{"hot, proven", false, true, 1},
		{"hot, proven without a buffer", false, true, 0},
		{"cold", true, false, 1},
		{"cold without a buffer", true, false, 0}, // reading it made it hot
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cold {
				cachetest.Forget(t, b.path(1))
			}
			bufs := segments.NewBuffers(c.large)
			h := open(t, b.at(t, 1), rec, bufs, c.prove) // with no page of it mapped yet
			buffered := (blind || c.cold) && c.large > 0
			if (bufs.Out() > 0) != buffered {
				t.Errorf("%d large buffers are out, blind %v", bufs.Out(), blind)
			}
			b.patch(t, b.path(1), rec.Offset+200_000, []byte("behind its back"))
			want := content(1, n)
			if !buffered {
				copy(want[200_000:], "behind its back")
			}
			server, client := tcp(t)
			mustReceive(t, client, send(h, server, 0, n), want)
			b.patch(t, b.path(1), rec.Offset, content(1, n))
		})
	}
}

// TestColdPayloadsStayInTheirBuffer: with the page cache gone again, what is sent is what was proven.
func TestColdPayloadsStayInTheirBuffer(t *testing.T) {
	b := memBed(t) // a file system that never says "cached"
	s := b.create(t, 1, 2048)
	const n = 300_000
	want := content(1, n)
	rec := put(t, s, want)
	bufs := segments.NewBuffers(1)
	h := open(t, s, rec, bufs, false)
	if bufs.Out() != 1 {
		t.Errorf("%d large buffers are out", bufs.Out())
	}
	b.patch(t, b.path(1), rec.Offset+200_000, []byte("behind its back"))
	server, client := tcp(t)
	mustReceive(t, client, send(h, server, 0, n), want)
}

// TestColdReadsAndThePageCache: of four cold reads one leaves its payload in the page cache; all give the right bytes, and
// notice when those on the device are not.
func TestColdReadsAndThePageCache(t *testing.T) {
	b := osBed(t)
	s := b.create(t, 1, 2048)
	f, err := b.fs.Open(b.path(1), true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Cached(0, 1); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this kernel cannot tell what is cached")
	}
	for _, n := range []int{100_000, blob.MaxSize} {
		want := content(uint64(n), n)
		rec := put(t, s, want)
		bufs := segments.NewBuffers(1)
		admitted := 0
		for range 12 {
			cachetest.Forget(t, b.path(1))
			s.Pin(rec.Slot)
			h, err := s.OpenHandle(rec.Location, bufs, false)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes: wrong ones arrived, %v", n, err)
			}
			h.Release()
			if ok, err := f.Cached(rec.Offset, int64(n)); err != nil {
				t.Fatal(err)
			} else if ok {
				admitted++
			}
		}
		if admitted != 3 {
			t.Errorf("%d bytes: %d of 12 cold reads left them in the page cache, want 3", n, admitted)
		}
		b.patch(t, b.path(1), rec.Offset+50_000, []byte("damage"))
		for range 4 {
			cachetest.Forget(t, b.path(1))
			s.Pin(rec.Slot)
			if _, err := s.OpenHandle(rec.Location, bufs, false); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("%d bytes: damage is read: %v", n, err)
			}
			s.Unpin(rec.Slot)
		}
	}
}

// TestReadersKeepTheirBytes sends to a client that hardly reads, and meanwhile punches what is next to the payload,
// unlinks the segment, and closes it.
func TestReadersKeepTheirBytes(t *testing.T) {
	b := osBed(t)
	s := b.create(t, 1, 2048)
	const n = 2_000_000
	before := put(t, s, content(1, n))
	mine := put(t, s, content(2, n))
	after := put(t, s, content(3, n))
	h := open(t, s, mine, segments.NewBuffers(1), true)
	server, client := tcp(t)
	done := send(h, server, 0, n)
	head := make([]byte, 1000)
	if _, err := io.ReadFull(client, head); err != nil {
		t.Fatal(err)
	}
	gone := false
	s.Kill(mine.Slot, func() { gone = true })
	for _, rec := range []segments.Record{before, after} {
		s.Kill(rec.Slot, func() {
			if err := s.Punch(rec.Offset, segments.Blocks(rec.Length)); err != nil {
				t.Error(err)
			}
		})
		if has, err := s.HasData(rec.Location); has || err != nil {
			t.Errorf("neighbour %d is not punched: %v", rec.Slot, err)
		}
	}
	if err := errors.Join(s.Unlink(), s.Close()); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-done:
		t.Fatalf("sent %d bytes before anybody read them, %v", r.n, r.err)
	default:
	}
	mustReceive(t, io.MultiReader(bytes.NewReader(head), client), done, content(2, n))
	if gone {
		t.Error("given back under a reader")
	}
}

// TestWhatIsInTheSocketStays: once SendTo has returned, the payload may be punched although the client has read nothing
// of it. With sendfile(2) it would read zeros.
func TestWhatIsInTheSocketStays(t *testing.T) {
	b := osBed(t)
	s := b.create(t, 1, 2048)
	const n = 100_000
	rec := put(t, s, content(1, n))
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if !s.Pin(rec.Slot) {
		t.Fatal("cannot pin")
	}
	h, err := s.OpenHandle(rec.Location, segments.NewBuffers(1), true)
	if err != nil {
		t.Fatal(err)
	}
	server, client := tcp(t)
	if err := server.SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if sentBytes, err := h.SendTo(server, 0, n); sentBytes != n || err != nil {
		t.Fatalf("%d bytes, %v", sentBytes, err)
	}
	h.Release()
	s.Kill(rec.Slot, func() {
		if err := s.Punch(rec.Offset, segments.Blocks(rec.Length)); err != nil {
			t.Error(err)
		}
	})
	if has, err := s.HasData(rec.Location); has || err != nil {
		t.Fatalf("not punched: %v", err)
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, content(1, n)) {
		t.Errorf("wrong bytes arrived, %v", err)
	}
}

// TestATruncatedFileIsAnError: a page that is gone from under the mapping is an error of the call, not the end of the
// process.
func TestATruncatedFileIsAnError(t *testing.T) {
	b := osBed(t)
	s := b.create(t, 1, 2048)
	const n = 1_000_000
	rec := put(t, s, content(1, n))
	for _, left := range []int64{0, 5000, 500_000} {
		t.Run(fmt.Sprint(left, " bytes left"), func(t *testing.T) {
			b.resize(t, b.path(1), rec.Offset+n)
			b.patch(t, b.path(1), rec.Offset, content(1, n))
			h := open(t, s, rec, segments.NewBuffers(1), true)
			if err := os.Truncate(b.path(1), rec.Offset+left); err != nil {
				t.Fatal(err)
			}
			server, client := tcp(t)
			done := send(h, server, 0, n)
			arrived := make(chan []byte)
			go func() {
				p, _ := io.ReadAll(client)
				arrived <- p
			}()
			r := <-done
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			got := <-arrived
			if !errors.Is(r.err, blob.ErrUnavailable) || r.n > left+segments.BlockSize || r.n != int64(len(got)) {
				t.Errorf("sent %d bytes, %d arrived, %v", r.n, len(got), r.err)
			}
			if k := min(left, r.n); !bytes.Equal(got[:k], content(1, n)[:k]) {
				t.Error("wrong bytes arrived")
			}
			if n, err := h.SendTo(server, n-100, 100); n != 0 || !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("a small range: %d bytes, %v", n, err)
			}
			if n, err := h.ReadAt(make([]byte, 100), n-100); n != 0 || !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("ReadAt: %d bytes, %v", n, err)
			}
			if n, err := h.WriteTo(io.Discard); n > left || !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("WriteTo: %d bytes, %v", n, err)
			}
		})
	}
}
