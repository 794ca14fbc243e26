package http3d_test

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/OdyseeTeam/prism/blob"
)

// wanderer is a client's socket that sends from another address every few packets, and receives on all of them.
type wanderer struct {
	socks []net.PacketConn
	every int64
	sent  atomic.Int64
	in    chan []byte
	ended chan struct{}
	once  sync.Once
	read  sync.WaitGroup
}

func wander(t *testing.T, sockets int, every int64) *wanderer {
	t.Helper()
	w := &wanderer{every: every, in: make(chan []byte, 1000), ended: make(chan struct{})}
	for range sockets {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.socks = append(w.socks, pc)
		w.read.Go(func() {
			for {
				buf := make([]byte, 1500)
				n, _, err := pc.ReadFrom(buf)
				if err != nil {
					return
				}
				select {
				case w.in <- buf[:n]:
				case <-w.ended:
					return
				}
			}
		})
	}
	return w
}

func (w *wanderer) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case b := <-w.in:
		return copy(p, b), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, nil
	case <-w.ended:
		return 0, nil, os.ErrClosed
	}
}

func (w *wanderer) WriteTo(p []byte, a net.Addr) (int, error) {
	return w.socks[int(w.sent.Add(1)/w.every)%len(w.socks)].WriteTo(p, a)
}

func (w *wanderer) Close() error {
	w.once.Do(func() { close(w.ended) })
	for _, s := range w.socks {
		_ = s.Close()
	}
	w.read.Wait()
	return nil
}

func (w *wanderer) LocalAddr() net.Addr              { return w.socks[0].LocalAddr() }
func (w *wanderer) SetDeadline(time.Time) error      { return nil }
func (w *wanderer) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline is how quic-go ends its reading.
func (w *wanderer) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		w.once.Do(func() { close(w.ended) })
	}
	return nil
}

// BAD-INPUTS 29: a client that changes its address all the time costs its own answer at most.
func TestWanderingClient(t *testing.T) {
	here := content(1, blob.MaxSize)
	o := options(newShelf(here))
	o.RateWindow, o.MinRate, o.IdleTimeout = time.Second, 100<<10, 2*time.Second
	s := start(t, o)
	addr, err := net.ResolveUDPAddr("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	w := wander(t, 50, 20)
	defer w.Close()
	tr := &quic.Transport{Conn: w}
	defer tr.Close()
	conn, err := tr.Dial(t.Context(), addr, clientTLS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	control(t, conn)
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			str, err := conn.OpenStreamSync(t.Context())
			if err != nil {
				return
			}
			_ = str.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = str.Write(request("/get/" + blob.Sum(here).String()))
			n, _ := io.Copy(io.Discard, str)
			got.Add(n)
		})
	}
	wg.Wait()
	if got.Load() == 0 {
		t.Error("nothing arrived; the test shows nothing")
	}
	_ = conn.CloseWithError(0, "")
	until(t, "the connection to end", func() bool { return s.Stats().Connections == 0 })
	s.alive()
}
