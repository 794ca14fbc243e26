package reflector_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/reflector"
)

// odd is a listener whose connections come from where a test says, and which fails as often as it says.
type odd struct {
	net.Listener
	from  chan string // of the next connection
	fails atomic.Int64
	err   error
}

type oddConn struct {
	net.Conn
	from net.Addr
}

func (l *odd) Accept() (net.Conn, error) {
	if l.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: l.err}
	}
	c, err := l.Listener.Accept()
	if err != nil || l.from == nil {
		return c, err
	}
	return &oddConn{c, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(<-l.from))}, nil
}

func (c *oddConn) RemoteAddr() net.Addr { return c.from }

func listenOdd(t *testing.T) *odd {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &odd{Listener: ln}
}

// Connections are counted by their address, of IPv6 by the network of a customer.
func TestPerAddress(t *testing.T) {
	store := newShelf(t)
	ln := listenOdd(t)
	ln.from = make(chan string, 1)
	s := startOn(t, reflector.Options{Store: store, MaxPerAddress: 1}, ln)
	for _, c := range []struct {
		from string
		ok   bool
	}{
		{"192.0.2.1:1", true},
		{"192.0.2.1:2", false},
		{"[::ffff:192.0.2.1]:3", false},
		{"192.0.2.2:1", true},
		{"[2001:db8::1]:1", true},
		{"[2001:db8::ffff:0:0:2]:1", false},
		{"[2001:db8:0:1::1]:1", true},
		{"[fe80::1%eth0]:1", true},
		{"[fe80::2%eth1]:1", false},
	} {
		ln.from <- c.from
		talk := s.dial()
		talk.say(`{"version":1}`)
		if c.ok {
			talk.hear(`{"version":1}`)
			continue
		}
		if got, _ := io.ReadAll(talk); len(got) > 0 {
			t.Errorf("a second connection from %s hears %q", c.from, got)
		}
	}
	if st := s.Stats(); st.Refused != 4 || st.Connections != 5 {
		t.Errorf("stats %+v", st)
	}
}

// A shortage of descriptors passes; another failure of the listener ends Serve, and with it the connections.
func TestAcceptFails(t *testing.T) {
	store := newShelf(t)
	t.Run("passing", func(t *testing.T) {
		ln := listenOdd(t)
		ln.err = syscall.EMFILE
		ln.fails.Store(3)
		s := startOn(t, reflector.Options{Store: store}, ln)
		data := content(1, 100)
		if r, err := s.client().Upload(t.Context(), verified(t, data), blob.KindContent); err != nil || !r.Sent {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("for good", func(t *testing.T) {
		ln := listenOdd(t)
		ln.err = errors.New("the listener is broken")
		s := startOn(t, reflector.Options{Store: store}, ln)
		c := s.greet()
		ln.fails.Store(1)
		s.dial().Close() // after which Accept is called again
		if err := s.Fails(); !errors.Is(err, ln.err) {
			t.Errorf("Serve: %v", err)
		}
		if got, _ := io.ReadAll(c); len(got) > 0 {
			t.Errorf("heard %q", got)
		}
	})
}
