package http3d_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/OdyseeTeam/prism/blob"
)

var resets = flag.Int("resets", 8000, "how many requests TestResetStorm takes back")

// frame is an HTTP/3 frame.
func frame(kind uint64, payload []byte) []byte {
	b := quicvarint.Append(nil, kind)
	b = quicvarint.Append(b, uint64(len(payload)))
	return append(b, payload...)
}

// request is a HEADERS frame that asks for a path.
func request(path string, more ...qpack.HeaderField) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for _, f := range append([]qpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "x"},
		{Name: ":path", Value: path},
	}, more...) {
		_ = e.WriteField(f)
	}
	return frame(1, b.Bytes())
}

// control opens the control stream of a bare connection and sends on it what follows the settings.
func control(t *testing.T, conn *quic.Conn, more ...byte) *quic.SendStream {
	t.Helper()
	str, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write(append(append([]byte{0}, frame(4, nil)...), more...)); err != nil {
		t.Fatal(err)
	}
	return str
}

// alive demands that the server still answers others.
func (s *server) alive() {
	s.t.Helper()
	if a := s.must(s.client(nil), "GET", "/healthz"); a.status != 200 {
		s.t.Errorf("/healthz: %d", a.status)
	}
}

// BAD-INPUTS 27: requests that are taken back, and answers that are refused, when the server has them: what is cancelled
// before it leaves is never sent. Half of the headers are whole, and of the others the last byte is missing.
func TestResetStorm(t *testing.T) {
	const conns, atOnce = 4, 90 // a connection may have 100
	store := newShelf(content(1, 50_000))
	s := start(t, options(store))
	ask := request("/get/" + blob.Sum(content(1, 50_000)).String())
	var wg sync.WaitGroup
	for range conns {
		conn := s.dial(&quic.Config{InitialStreamReceiveWindow: 2000, MaxStreamReceiveWindow: 2000}) // no answer fits
		control(t, conn)
		wg.Go(func() {
			for left := *resets / conns; left > 0; left -= atOnce {
				if err := resetMany(conn, ask, min(left, atOnce)); err != nil {
					t.Errorf("with %d to go: %v", left, err)
					return
				}
			}
		})
	}
	wg.Wait()
	until(t, "the server to be idle", func() bool {
		st := s.Stats()
		return st.Sending == 0 && st.InFlight == 0 && st.Queue == 0
	})
	if n := store.Calls(); n < int64(*resets/4) { // a few may be taken back while they still wait for their turn
		t.Errorf("of %d requests, half of them whole, %d reached the store", *resets, n)
	}
	s.alive()
}

// resetMany sends n requests, waits until a later one is answered, and takes them back.
func resetMany(conn *quic.Conn, ask []byte, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	open := func(p []byte) (*quic.Stream, error) {
		str, err := conn.OpenStreamSync(ctx)
		if err == nil {
			_ = str.SetDeadline(time.Now().Add(30 * time.Second))
			_, err = str.Write(p)
		}
		return str, err
	}
	streams := make([]*quic.Stream, n)
	for i := range streams {
		str, err := open(ask[:len(ask)-i%2])
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		streams[i] = str
	}
	last, err := open(request("/healthz"))
	if err == nil {
		err = last.Close()
	}
	if err == nil {
		_, err = io.ReadAll(last)
	}
	if err != nil {
		return fmt.Errorf("the stream after them: %w", err)
	}
	for _, str := range streams {
		str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	}
	return nil
}

// BAD-INPUTS 28: a header that is large, or that becomes large when it is decoded, is refused before the store is asked.
func TestLargeHeaders(t *testing.T) {
	here := content(1, 10)
	store := newShelf(here)
	s := start(t, options(store))
	path := "/get/" + blob.Sum(here).String()
	// One byte each for a field of 60 from the static table: 4 KiB that decode to 240.
	bomb := append([]byte{0, 0}, bytes.Repeat([]byte{0xc0 | 52}, 4<<10)...)
	for name, f := range map[string][]byte{
		"one field":          request(path, qpack.HeaderField{Name: "x", Value: strings.Repeat("ÿ", 20<<10)}),
		"fields that repeat": frame(1, append(request(path)[3:], bomb[2:]...)),
		"only a bomb":        frame(1, bomb),
		"a huge length":      append(quicvarint.Append([]byte{1}, 1<<40), "x"...),
		"the largest length": append(quicvarint.Append([]byte{1}, quicvarint.Max), "x"...),
	} {
		conn := s.dial(nil)
		control(t, conn)
		str, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = str.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = str.Write(f)
		answer, err := io.ReadAll(str)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() && conn.Context().Err() == nil {
			t.Errorf("%s: no answer", name)
		}
		if err == nil && !is431(answer) {
			t.Errorf("%s: answered %q", name, answer)
		}
	}
	if n := store.Calls(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	if a := s.must(s.client(nil), "GET", path, "X", strings.Repeat("x", 7<<10)); a.status != 200 {
		t.Errorf("a header of 7 KiB: %d", a.status)
	}
}

// is431 decodes the status of a raw answer.
func is431(answer []byte) bool {
	r := bytes.NewReader(answer)
	if kind, err := quicvarint.Read(r); err != nil || kind != 1 {
		return false
	}
	n, err := quicvarint.Read(r)
	if err != nil || n > uint64(r.Len()) {
		return false
	}
	block := make([]byte, n)
	_, _ = io.ReadFull(r, block)
	next := qpack.NewDecoder().Decode(block)
	f, err := next()
	return err == nil && f.Name == ":status" && f.Value == "431"
}

// BAD-INPUTS 32: frames that break the rules end the connection; those that nobody knows are passed over.
func TestFrames(t *testing.T) {
	here := content(1, 10)
	s := start(t, options(newShelf(here)))
	ask := request("/get/" + blob.Sum(here).String())
	f := func(name string, onControl, onStream []byte, ends bool) {
		t.Helper()
		conn := s.dial(nil)
		control(t, conn, onControl...)
		if len(onStream) > 0 {
			str, err := conn.OpenStreamSync(t.Context())
			if err == nil {
				_ = str.SetDeadline(time.Now().Add(20 * time.Second))
				_, _ = str.Write(onStream)
				_ = str.Close()
				_, err = io.ReadAll(str)
			}
			if !ends && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !ends {
			return
		}
		select {
		case <-conn.Context().Done():
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the connection goes on", name)
		}
	}
	f("unknown frames", frame(0x21, []byte("grease")), append(frame(0x2f, []byte("grease")), ask...), false)
	f("settings twice", frame(4, nil), nil, true)
	f("data on the control stream", frame(0, []byte("x")), nil, true)
	f("goaway twice", append(frame(7, []byte{0}), frame(7, []byte{0})...), ask, false)
	f("data before headers", nil, append(frame(0, []byte("x")), ask...), true)
	f("settings on a request", nil, append(frame(4, nil), ask...), true)
	f("a frame of HTTP/2", nil, append(frame(6, []byte("12345678")), ask...), true)
	f("a body that nobody reads", nil, append(bytes.Clone(ask), frame(0, bytes.Repeat([]byte("x"), 1000))...), false)
	s.alive()
}

// More unidirectional streams than HTTP/3 needs are not granted.
func TestUniStreams(t *testing.T) {
	s := start(t, options(newShelf()))
	conn := s.dial(nil)
	for range 3 {
		if _, err := conn.OpenUniStream(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.OpenUniStream(); err == nil {
		t.Error("a fourth stream was granted")
	}
	n := 0
	for ; n < 200; n++ {
		if _, err := conn.OpenStream(); err != nil {
			break
		}
	}
	if n != 100 {
		t.Errorf("%d requests at once were granted, want 100", n)
	}
}

// BAD-INPUTS 36, and clients that vanish: whoever leaves in the middle takes nothing along.
func TestAbruptEnds(t *testing.T) {
	here := content(1, blob.MaxSize)
	o := options(newShelf(here))
	o.RateWindow, o.MinRate, o.IdleTimeout = time.Second, 1<<20, 2*time.Second
	s := start(t, o)
	for i := range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: pc}
		addr, err := net.ResolveUDPAddr("udp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tr.Dial(t.Context(), addr, clientTLS(), nil)
		if err != nil {
			t.Fatal(err)
		}
		control(t, conn)
		str, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = str.Write(request("/get/" + blob.Sum(here).String()))
		_, _ = io.ReadFull(str, make([]byte, 1000))
		switch i % 3 {
		case 0:
			_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		case 1:
			_ = conn.CloseWithError(12345, "!")
		default: // says nothing
		}
		_ = tr.Close()
		_ = pc.Close()
	}
	until(t, "all connections to end", func() bool {
		st := s.Stats()
		return st.Connections == 0 && st.Sending == 0 && st.InFlight == 0
	})
	s.alive()
}

// A connection that asks for nothing is closed, though its client keeps it alive, and though its streams are half open.
func TestIdle(t *testing.T) {
	o := options(newShelf())
	o.IdleTimeout = 500 * time.Millisecond
	s := start(t, o)
	conn := s.dial(&quic.Config{KeepAlivePeriod: 50 * time.Millisecond})
	control(t, conn)
	for range 10 {
		str, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = str.Write([]byte{1, 40, 0})
	}
	select {
	case <-conn.Context().Done():
	case <-time.After(20 * time.Second):
		t.Error("the connection goes on")
	}
}

// BAD-INPUTS 35, and noise: datagrams that are no QUIC change nothing.
func TestNoise(t *testing.T) {
	s := start(t, options(newShelf()))
	c, err := net.Dial("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 3000 {
		p := content(uint64(i), i%1400)
		if len(p) > 4 && i%3 == 0 {
			p[0] |= 0xc0 // a long header
			copy(p[1:], []byte{0, 0, 0, 1})
		}
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	s.alive()
	if st := s.Stats(); st.Handshakes > 1000 {
		t.Errorf("%d handshakes", st.Handshakes)
	}
}

// deaf is a socket on which nothing arrives; it counts what was sent to it.
type deaf struct {
	net.PacketConn
	in, out *atomic.Int64
}

func (d *deaf) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, _, err := d.PacketConn.ReadFrom(p)
		if err != nil {
			return 0, nil, err
		}
		d.in.Add(int64(n))
	}
}

func (d *deaf) WriteTo(p []byte, a net.Addr) (int, error) {
	d.out.Add(int64(len(p)))
	return d.PacketConn.WriteTo(p, a)
}

// BAD-INPUTS 30: many who begin a handshake and never go on. The server sends them no more than three times what it got,
// asks later ones to prove their address, forgets them, and serves the others meanwhile.
func TestHandshakeStorm(t *testing.T) {
	o := options(newShelf())
	o.HeaderTimeout = 3 * time.Second
	s := start(t, o)
	addr, err := net.ResolveUDPAddr("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	var in, out atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 100 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer pc.Close()
			tr := &quic.Transport{Conn: &deaf{pc, &in, &out}}
			defer tr.Close()
			_, _ = tr.Dial(ctx, addr, clientTLS(), nil)
		})
	}
	until(t, "addresses to be checked", func() bool { return s.Stats().Retries > 0 })
	s.alive()
	if n := s.Stats().Handshakes; n > 40 {
		t.Errorf("%d handshakes under way", n)
	}
	cancel()
	wg.Wait()
	if in.Load() > 3*out.Load() {
		t.Errorf("%d bytes sent to clients that sent %d", in.Load(), out.Load())
	}
	until(t, "the handshakes to be forgotten", func() bool { return s.Stats().Handshakes == 0 })
}

// Connections beyond the limits are refused, and their places are free again when they end.
func TestConnectionLimits(t *testing.T) {
	for name, set := range map[string][2]int{"all": {3, 100}, "of an address": {100, 3}} {
		t.Run(name, func(t *testing.T) {
			o := options(newShelf())
			o.MaxConnections, o.MaxConnectionsPerAddress = set[0], set[1]
			s := start(t, o)
			conns := []*quic.Conn{s.dial(nil), s.dial(nil), s.dial(nil)}
			until(t, "all to be let in", func() bool { return s.Stats().Connections == 3 })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := quic.DialAddr(ctx, s.addr, clientTLS(), nil); err == nil || ctx.Err() != nil {
				t.Errorf("the fourth connection: %v", err)
			}
			if s.Stats().Refused == 0 {
				t.Error("nobody was refused")
			}
			_ = conns[0].CloseWithError(0, "")
			until(t, "a place to be free", func() bool { return s.Stats().Connections == 2 })
			s.dial(nil)
		})
	}
}

// A storm of connections that come, ask and go.
func TestConnectionStorm(t *testing.T) {
	here := content(1, 1000)
	s := start(t, options(newShelf(here)))
	var wg sync.WaitGroup
	var failed atomic.Value
	for range 8 {
		wg.Go(func() {
			for range 25 {
				c := &http3.Transport{TLSClientConfig: clientTLS()}
				a, err := s.ask(c, "GET", "/get/"+blob.Sum(here).String())
				if err != nil || a.status != 200 {
					failed.Store(fmt.Errorf("%d: %w", a.status, err))
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Error(err)
	}
	until(t, "all connections to end", func() bool { return s.Stats().Connections == 0 })
}

// narrow is a path that carries 1,200 bytes.
type narrow struct{ net.PacketConn }

func (n *narrow) WriteTo(p []byte, a net.Addr) (int, error) {
	if len(p) > 1200 {
		return len(p), nil // lost
	}
	return n.PacketConn.WriteTo(p, a)
}

// BAD-INPUTS 34.
func TestNarrowPath(t *testing.T) {
	here := content(1, 500_000)
	s := startOn(t, options(newShelf(here)), func(pc net.PacketConn) net.PacketConn { return &narrow{pc} })
	if a := s.must(s.client(nil), "GET", "/get/"+blob.Sum(here).String()); a.status != 200 || !bytes.Equal(a.body, here) {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
}
