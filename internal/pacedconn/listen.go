package pacedconn

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits says how many connections there may be, and counts them.
type Limits struct {
	// Most bounds open connections.
	Most int
	// PerAddress bounds those of one remote address; 0 is no bound. An IPv6 address counts as its /64, which is the
	// least that anybody is given.
	PerAddress int
	// Refusal is what a connection too many is sent before it is closed. It must fit the buffer of a socket that was
	// just accepted. Empty: the connection is reset, so that nothing of it lingers here.
	Refusal string

	Open    *atomic.Int64  // connections now
	Refused *atomic.Uint64 // connections too many, ever
}

// Listener counts connections, refuses those beyond the limits, and gives the others their pace.
type Listener struct {
	net.Listener
	pace   Pace
	limits Limits

	mu   sync.Mutex
	from map[netip.Addr]int // open connections by address; nil without a bound
}

// Listen wraps ln.
func Listen(ln net.Listener, p Pace, l Limits) *Listener {
	out := &Listener{Listener: ln, pace: p, limits: l}
	if l.PerAddress > 0 {
		out.from = map[netip.Addr]int{}
	}
	return out
}

// Accept implements net.Listener: the connection is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err // not the nil *Conn, which would make a connection that is not nil
	}
	return c, nil
}

// AcceptConn returns the next connection that there is room for.
func (l *Listener) AcceptConn() (*Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, ok := l.enter(AddressOf(nc.RemoteAddr()))
		if !ok {
			l.limits.Refused.Add(1)
			refuse(nc, l.limits.Refusal)
			continue
		}
		c, err := newConn(nc, l.pace, leave)
		if err != nil { // the socket is dead already
			leave()
			_ = nc.Close()
			continue
		}
		return c, nil
	}
}

// enter takes a place for a connection from an address, if there is one. leave gives it back, and is called once.
func (l *Listener) enter(from netip.Addr) (leave func(), ok bool) {
	if l.limits.Open.Add(1) > int64(l.limits.Most) {
		l.limits.Open.Add(-1)
		return nil, false
	}
	if l.from == nil || !from.IsValid() {
		return l.leave, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from[from] >= l.limits.PerAddress {
		l.limits.Open.Add(-1)
		return nil, false
	}
	l.from[from]++
	return func() { l.leaveFrom(from) }, true
}

func (l *Listener) leave() { l.limits.Open.Add(-1) }

func (l *Listener) leaveFrom(from netip.Addr) {
	l.mu.Lock()
	if l.from[from]--; l.from[from] == 0 {
		delete(l.from, from)
	}
	l.mu.Unlock()
	l.leave()
}

// AddressOf is what connections from a, which is of TCP or UDP, are counted under: the address, and of IPv6 its first 64
// bits, which is the least that anybody is given. It is not valid for what has no IP address.
func AddressOf(a net.Addr) netip.Addr {
	from, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.Addr{}
	}
	ip := from.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// refuse answers and closes. A client that has sent its request already may see a reset instead of the answer; waiting
// for it would hold what there is too little of.
func refuse(nc net.Conn, answer string) {
	if answer != "" {
		_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = nc.Write([]byte(answer))
	} else if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}
