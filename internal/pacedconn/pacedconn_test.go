package pacedconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/pacedconn"
)

// bed is a listener whose connections go to the test.
type bed struct {
	*testing.T
	addr     string
	open     atomic.Int64
	refused  atomic.Uint64
	accepted chan *pacedconn.Conn
}

func listen(t *testing.T, network, addr string, p pacedconn.Pace, l pacedconn.Limits) *bed {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Skipf("no %s here: %v", network, err)
	}
	b := &bed{T: t, addr: ln.Addr().String(), accepted: make(chan *pacedconn.Conn, 16)}
	l.Open, l.Refused = &b.open, &b.refused
	limited := pacedconn.Listen(ln, p, l)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := limited.Accept()
			if err != nil {
				return
			}
			b.accepted <- c.(*pacedconn.Conn)
		}
	}()
	t.Cleanup(func() {
		limited.Close()
		<-ended
		if n := b.open.Load(); n != 0 {
			t.Errorf("%d places are taken at the end", n)
		}
	})
	return b
}

// pair is both ends of a connection.
func (b *bed) pair() (client *net.TCPConn, server *pacedconn.Conn) {
	b.Helper()
	client = b.dial()
	server = <-b.accepted
	b.Cleanup(func() { server.Close() })
	return client, server
}

func (b *bed) dial() *net.TCPConn {
	b.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		b.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// pace never cuts anybody in these tests.
func pace() pacedconn.Pace { return pacedconn.PaceOf(1, time.Minute, 64<<10) }

// What is held back and what follows are one segment, on a link that could carry more.
func TestHold(t *testing.T) {
	b := listen(t, "tcp", "127.0.0.1:0", pace(), pacedconn.Limits{Most: 10})
	client, server := b.pair()
	if !server.IsTCP() {
		t.Fatal("not TCP")
	}
	body := bytes.Repeat([]byte("b"), 20_000)
	for n := range 3 {
		server.Hold()
		if k, err := server.Write([]byte("header")); k != 6 || err != nil {
			t.Fatal(k, err)
		}
		if k, err := server.Write(body); k != len(body) || err != nil {
			t.Fatal(k, err)
		}
		if err := server.EndAnswer(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 6+len(body))
		if _, err := io.ReadFull(client, got); err != nil || string(got[:7]) != "headerb" {
			t.Fatalf("%.10q, %v", got, err)
		}
		if segments := received(t, client); segments != n+1 {
			t.Errorf("%d segments after %d answers", segments, n+1)
		}
	}
}

// received is the number of segments with data that came.
func received(t *testing.T, c *net.TCPConn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return int(info.Data_segs_in)
}

// A reader that takes nothing for a window is cut; the error is a deadline.
func TestReaderThatTakesNothing(t *testing.T) {
	b := listen(t, "tcp", "127.0.0.1:0", pacedconn.PaceOf(1<<20, 100*time.Millisecond, 64<<10), pacedconn.Limits{Most: 10})
	_, server := b.pair()
	n, err := server.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 64<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// Beyond the limits a connection is refused as the server wants it; a place that is given back is taken again.
func TestLimits(t *testing.T) {
	for name, l := range map[string]pacedconn.Limits{
		"all":         {Most: 2, Refusal: "go away"},
		"one address": {Most: 10, PerAddress: 2, Refusal: "go away"},
	} {
		t.Run(name, func(t *testing.T) {
			b := listen(t, "tcp", "127.0.0.1:0", pace(), l)
			_, first := b.pair()
			b.pair()
			if got, err := io.ReadAll(b.dial()); string(got) != "go away" || err != nil {
				t.Errorf("one too many got %q, %v", got, err)
			}
			if b.refused.Load() != 1 || b.open.Load() != 2 {
				t.Errorf("%d refused, %d open", b.refused.Load(), b.open.Load())
			}
			first.Close()
			first.Close()
			b.pair()
		})
	}
}

// Without a refusal a connection too many is reset.
func TestSilentRefusal(t *testing.T) {
	b := listen(t, "tcp", "127.0.0.1:0", pace(), pacedconn.Limits{})
	c, err := net.Dial("tcp", b.addr)
	if err == nil { // the reset may come before Dial returns
		defer c.Close()
		var n int
		if n, err = c.Read(make([]byte, 1)); n != 0 {
			t.Errorf("%d bytes came", n)
		}
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

// Each address has its own places. IPv4 clients of an IPv6 socket are told apart, and IPv6 clients of one /64 are not.
func TestAddressesApart(t *testing.T) {
	b := listen(t, "tcp", "[::]:0", pace(), pacedconn.Limits{Most: 10, PerAddress: 1, Refusal: "no"})
	_, port, err := net.SplitHostPort(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	f := func(from, to string, want bool) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", net.JoinHostPort(to, port))
		if err != nil {
			t.Skipf("no way from %s to %s here: %v", from, to, err)
		}
		t.Cleanup(func() { c.Close() })
		if !want {
			if got, err := io.ReadAll(c); string(got) != "no" || err != nil {
				t.Errorf("from %s: %q, %v", from, got, err)
			}
			return
		}
		server := <-b.accepted
		t.Cleanup(func() { server.Close() })
	}
	f("127.0.0.1", "127.0.0.1", true)
	f("127.0.0.2", "127.0.0.1", true)
	f("127.0.0.2", "127.0.0.1", false)
	f("::1", "::1", true)
	f("::1", "::1", false)
}

// What is not plain TCP gets everything too, in pieces.
func TestOtherConnections(t *testing.T) {
	b := listen(t, "unix", t.TempDir()+"/s", pace(), pacedconn.Limits{Most: 1, PerAddress: 1})
	c, err := net.Dial("unix", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server := <-b.accepted
	want := bytes.Repeat([]byte("0123456789"), 50_000)
	sent := make(chan error, 1)
	go func() {
		_, err := server.Write(want)
		sent <- errors.Join(err, server.EndAnswer(), server.CloseWrite(), server.Close())
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) || server.IsTCP() {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// What the reader sends while the end of its answer is on the way does not cost it that answer.
func TestCloseGently(t *testing.T) {
	b := listen(t, "tcp", "127.0.0.1:0", pace(), pacedconn.Limits{Most: 10})
	client, server := b.pair()
	if _, err := client.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789"), 1_000_000)
	closed := make(chan error, 1)
	go func() {
		_, err := server.Write(want)
		closed <- errors.Join(err, server.CloseGently(20*time.Second))
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := <-closed; err != nil { // though the client has not closed
		t.Error(err)
	}
}

// A reader that takes nothing does not keep a connection from being closed.
func TestCloseGentlyEnds(t *testing.T) {
	b := listen(t, "tcp", "127.0.0.1:0", pace(), pacedconn.Limits{Most: 10})
	client, server := b.pair()
	go func() { // more than both ends hold
		_, _ = server.Write(make([]byte, 64<<20))
	}()
	if _, err := client.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := server.CloseGently(50 * time.Millisecond); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("closing took %v", took)
	}
}

func TestAddressOf(t *testing.T) {
	for addr, want := range map[net.Addr]string{
		&net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 1}:             "192.0.2.1",
		&net.UDPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 2}:      "192.0.2.1",
		&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 1}:           "2001:db8::",
		&net.UDPAddr{IP: net.ParseIP("2001:db8:0:1:f::1"), Port: 1}:     "2001:db8:0:1::",
		&net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}: "fe80::",
		&net.UnixAddr{Name: "/run/x", Net: "unix"}:                      "invalid IP",
	} {
		if got := pacedconn.AddressOf(addr).String(); got != want {
			t.Errorf("%v counts under %s, want %s", addr, got, want)
		}
	}
}
