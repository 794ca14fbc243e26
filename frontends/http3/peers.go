package http3d

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/internal/pacedconn"
)

// The bounds of handshakes under way: from the first on, addresses are checked; at the second, clients are refused.
const (
	suspectFrom   = 32
	maxHandshakes = 1024
)

// peers are the connections of a server, from the first packet of each to its end.
type peers struct {
	most, mostPerAddress int

	mu         sync.Mutex
	open       map[*peer]struct{} // whose handshake is done
	number     int                // of all
	byAddress  map[netip.Addr]int
	handshakes int
	closed     bool // nobody is let in

	gone    sync.WaitGroup // one a connection
	refused atomic.Uint64
	retried atomic.Uint64
}

// peer is one connection.
type peer struct {
	all  *peers
	addr netip.Addr
	conn *quic.Conn // nil until its handshake is done
	left bool

	active atomic.Int64 // requests being answered
	last   atomic.Int64 // when the last of them ended, in nanoseconds since 1970
}

func newPeers(most, perAddress int) *peers {
	return &peers{
		most:           most,
		mostPerAddress: perAddress,
		open:           map[*peer]struct{}{},
		byAddress:      map[netip.Addr]int{},
	}
}

// peerKey is the key under which the context of a connection, and of its requests, has its peer.
type peerKey struct{}

// suspect implements quic.Transport.VerifySourceAddress.
func (p *peers) suspect(net.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handshakes < suspectFrom {
		return false
	}
	p.retried.Add(1)
	return true
}

var errRefused = errors.New("http3: too many connections")

// admit implements quic.Transport.ConnContext: it lets a client in, or refuses it.
func (p *peers) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	addr := pacedconn.AddressOf(info.RemoteAddr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.number >= p.most || p.byAddress[addr] >= p.mostPerAddress || p.handshakes >= maxHandshakes {
		p.refused.Add(1)
		return nil, errRefused
	}
	c := &peer{all: p, addr: addr}
	p.number++
	p.byAddress[addr]++
	p.handshakes++
	p.gone.Add(1)
	context.AfterFunc(ctx, c.leave)
	return context.WithValue(ctx, peerKey{}, c), nil
}

// established says that a handshake is done.
func (p *peers) established(conn *quic.Conn) {
	c, _ := conn.Context().Value(peerKey{}).(*peer)
	p.mu.Lock()
	defer p.mu.Unlock()
	if c == nil || c.left {
		return
	}
	c.conn = conn
	c.last.Store(time.Now().UnixNano())
	p.handshakes--
	p.open[c] = struct{}{}
}

// leave runs when a connection has ended.
func (c *peer) leave() {
	p := c.all
	defer p.gone.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	c.left = true
	p.number--
	if p.byAddress[c.addr]--; p.byAddress[c.addr] == 0 {
		delete(p.byAddress, c.addr)
	}
	if c.conn == nil {
		p.handshakes--
	}
	delete(p.open, c)
}

func (c *peer) begin() { c.active.Add(1) }

func (c *peer) end() {
	c.last.Store(time.Now().UnixNano())
	c.active.Add(-1)
}

// close lets nobody in any more.
func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// closeQuiet closes the connections on which nothing has been answered since a time.
func (p *peers) closeQuiet(since time.Time) {
	var quiet []*quic.Conn
	p.mu.Lock()
	for c := range p.open {
		if c.active.Load() == 0 && c.last.Load() < since.UnixNano() {
			quiet = append(quiet, c.conn)
		}
	}
	p.mu.Unlock()
	for _, conn := range quiet {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
}

// counts are the connections that are open, and the handshakes under way.
func (p *peers) counts() (open, handshakes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open), p.handshakes
}

// listener gives the HTTP/3 server its connections.
type listener struct {
	*quic.Listener
	peers *peers

	turn    sync.Mutex // held by the server from when it gets a connection until it asks for the next
	taken   bool       // whether it holds it; only for the server
	stopped bool
}

// Accept implements http3.QUICListener. One goroutine calls it.
func (l *listener) Accept(ctx context.Context) (*quic.Conn, error) {
	if l.taken {
		l.taken = false
		l.turn.Unlock()
	}
	conn, err := l.Listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	l.turn.Lock()
	if l.stopped {
		l.turn.Unlock()
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		<-ctx.Done()
		return nil, ctx.Err()
	}
	l.taken = true
	l.peers.established(conn)
	return conn, nil
}

// stop makes Accept give nothing more, and returns when the server has counted what it got before. Without that a
// connection that it gets while it shuts down ends its count twice, which panics.
func (l *listener) stop() {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.stopped = true
}

var _ http3.QUICListener = (*listener)(nil)
