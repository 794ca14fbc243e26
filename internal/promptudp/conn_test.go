package promptudp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/internal/promptudp"
)

// past is a deadline that is over: what net.UDPConn sends fails with it, and what leaves at once does not.
var past = time.Unix(1, 0)

func listen(t testing.TB, network, addr string) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	c := pc.(*net.UDPConn)
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func prompt(t testing.TB, network, addr string) *promptudp.Conn {
	t.Helper()
	c, err := promptudp.New(listen(t, network, addr))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func addressOf(c net.PacketConn) *net.UDPAddr { return c.LocalAddr().(*net.UDPAddr) }

// receive wants a packet from a port.
func receive(t *testing.T, c *net.UDPConn, want []byte, port int) {
	t.Helper()
	b := make([]byte, 64<<10)
	n, from, err := c.ReadFromUDP(b)
	if err != nil || !bytes.Equal(b[:n], want) || from.Port != port {
		t.Fatalf("%d bytes from %v, %v; %d bytes from port %d were sent", n, from, err, len(want), port)
	}
}

// TestSends sends over each family, to each that it reaches, without the scheduler and with it.
func TestSends(t *testing.T) {
	for _, c := range []struct{ network, addr, toNetwork, to string }{
		{"udp4", "127.0.0.1:0", "udp4", "127.0.0.1:0"},
		{"udp4", "0.0.0.0:0", "udp4", "127.0.0.1:0"},
		{"udp6", "[::1]:0", "udp6", "[::1]:0"},
		{"udp", "[::]:0", "udp6", "[::1]:0"},
		{"udp", "[::]:0", "udp4", "127.0.0.1:0"},
	} {
		t.Run(fmt.Sprintf("%s %s to %s", c.network, c.addr, c.to), func(t *testing.T) {
			from, to := prompt(t, c.network, c.addr), listen(t, c.toNetwork, c.to)
			for _, deadline := range []time.Time{{}, past} {
				if err := from.SetWriteDeadline(deadline); err != nil {
					t.Fatal(err)
				}
				for _, size := range []int{0, 1, 1200, 9000} {
					b := bytes.Repeat([]byte{byte(size)}, size)
					if n, oobn, err := from.WriteMsgUDP(b, nil, addressOf(to)); n != size || oobn != 0 || err != nil {
						t.Fatalf("%d, %d, %v, of %d bytes", n, oobn, err, size)
					}
					receive(t, to, b, addressOf(from).Port)
				}
			}
		})
	}
}

// segments is the control message for packets of a size.
func segments(size uint16) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], size)
	return b
}

// TestControl sends with control messages: one call is several packets. The next call has nothing of them.
func TestControl(t *testing.T) {
	from, to := prompt(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
	if err := from.SetWriteDeadline(past); err != nil {
		t.Fatal(err)
	}
	oob := segments(1000)
	b := make([]byte, 2500)
	for i := range b {
		b[i] = byte(i / 1000)
	}
	if n, oobn, err := from.WriteMsgUDP(b, oob, addressOf(to)); n != len(b) || oobn != len(oob) || err != nil {
		t.Fatalf("%d, %d, %v", n, oobn, err)
	}
	if _, _, err := from.WriteMsgUDP(b, nil, addressOf(to)); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]byte{b[:1000], b[1000:2000], b[2000:], b} {
		receive(t, to, want, addressOf(from).Port)
	}
}

// TestLeftToNet is what the first call cannot send: net sends it, or says why not, as it does on a socket of its own. What net
// sends fails with a deadline that is over.
func TestLeftToNet(t *testing.T) {
	to4, to6 := listen(t, "udp4", "127.0.0.1:0"), listen(t, "udp6", "[::1]:0")
	loopback, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	zone := &net.UDPAddr{IP: net.IPv6loopback, Port: addressOf(to6).Port, Zone: loopback.Name}
	for _, c := range []struct {
		name, network, addr string
		b, oob              []byte
		to                  *net.UDPAddr
	}{
		{"zone", "udp6", "[::1]:0", []byte("zone"), nil, zone},
		{"too long", "udp4", "127.0.0.1:0", make([]byte, 1<<16), nil, addressOf(to4)},
		{"no address", "udp4", "127.0.0.1:0", []byte("x"), nil, nil},
		{"no IP", "udp4", "127.0.0.1:0", []byte("x"), nil, &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: 9}},
		{"no port", "udp4", "127.0.0.1:0", []byte("x"), nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 70_000}},
		{"less than no port", "udp6", "[::1]:0", []byte("x"), nil, &net.UDPAddr{IP: net.IPv6loopback, Port: -1}},
		{"other family, of six", "udp6", "[::1]:0", []byte("x"), nil, addressOf(to4)},
		{"no IP, of six", "udp6", "[::1]:0", []byte("x"), nil, &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: 9}},
		{"other family", "udp4", "127.0.0.1:0", []byte("x"), nil, addressOf(to6)},
		{"bad control", "udp4", "127.0.0.1:0", []byte("x"), make([]byte, 16), addressOf(to4)},
		{"no way there", "udp4", "127.0.0.1:0", []byte("x"), nil, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, from := listen(t, c.network, c.addr), prompt(t, c.network, c.addr)
			_, _, want := plain.WriteMsgUDP(c.b, c.oob, c.to)
			n, oobn, err := from.WriteMsgUDP(c.b, c.oob, c.to)
			if cause(err) != cause(want) {
				t.Fatalf("%v; net says %v", err, want)
			}
			if want != nil {
				if n != 0 {
					t.Errorf("%d bytes, %v", n, err)
				}
				return
			}
			if n != len(c.b) || oobn != len(c.oob) {
				t.Fatalf("%d, %d", n, oobn)
			}
			at := to4
			if c.to.IP.To4() == nil {
				at = to6
			}
			receive(t, at, c.b, addressOf(plain).Port)
			receive(t, at, c.b, addressOf(from).Port)
			if err := from.SetWriteDeadline(past); err != nil {
				t.Fatal(err)
			}
			if _, _, err := from.WriteMsgUDP(c.b, c.oob, c.to); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v: it was not left to net", err)
			}
		})
	}
}

// cause is what errors of two sockets have in common.
func cause(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return fmt.Sprint(err)
}

func TestConnected(t *testing.T) {
	to := listen(t, "udp4", "127.0.0.1:0")
	c, err := net.DialUDP("udp4", nil, addressOf(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := promptudp.New(c); err == nil {
		t.Error("a connected socket was taken, which could send elsewhere")
	}
}

func TestClosed(t *testing.T) {
	c, from := listen(t, "udp4", "127.0.0.1:0"), prompt(t, "udp4", "127.0.0.1:0")
	_, _ = c.Close(), from.Close()
	if _, err := promptudp.New(c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed socket was taken: %v", err)
	}
	if _, _, err := from.WriteMsgUDP([]byte("x"), nil, addressOf(c)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a packet left a closed socket: %v", err)
	}
}

// TestMany sends from many goroutines: each packet comes whole, once, with its own bytes.
func TestMany(t *testing.T) {
	from, to := prompt(t, "udp4", "127.0.0.1:0"), listen(t, "udp4", "127.0.0.1:0")
	const senders, each = 8, 16
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for k := range each {
				b := bytes.Repeat([]byte{byte(i), byte(k)}, 50)
				if _, _, err := from.WriteMsgUDP(b, nil, addressOf(to)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[[2]byte]bool{}
	b := make([]byte, 200)
	for range senders * each {
		n, err := to.Read(b)
		if err != nil || n != 100 || !bytes.Equal(b[:n], bytes.Repeat(b[:2], 50)) {
			t.Fatalf("%d bytes, %v: %x", n, err, b[:n])
		}
		seen[[2]byte(b)] = true
	}
	wg.Wait()
	if len(seen) != senders*each {
		t.Errorf("%d packets of %d came", len(seen), senders*each)
	}
}

// BenchmarkSend sends batches of 14 packets, as an answer is sent.
func BenchmarkSend(b *testing.B) {
	to := listen(b, "udp4", "127.0.0.1:0")
	oob := segments(1436)
	packets := make([]byte, 14*1436)
	plain, from := listen(b, "udp4", "127.0.0.1:0"), prompt(b, "udp4", "127.0.0.1:0")
	for _, c := range []struct {
		name  string
		write func(p, oob []byte, to *net.UDPAddr) (int, int, error)
	}{{"net", plain.WriteMsgUDP}, {"prompt", from.WriteMsgUDP}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(packets)))
			for b.Loop() {
				if _, _, err := c.write(packets, oob, addressOf(to)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
