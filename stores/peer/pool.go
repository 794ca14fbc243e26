package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/protocol/peer"
)

// conn is a connection to the origin. It is in the pool, or belongs to one transfer.
type conn struct {
	net.Conn
	in     peer.Messages
	reused bool        // it has carried a request
	expiry *time.Timer // while it is in the pool
}

// quiet says whether the connection is open and nothing has come that nobody asked for.
func (c *conn) quiet() bool {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok || c.in.Held() > 0 {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var got error
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, got = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err == nil && (errors.Is(got, syscall.EAGAIN) || errors.Is(got, syscall.EINTR))
}

// pool keeps connections for reuse, a bounded number for a bounded time.
type pool struct {
	address string
	dialer  net.Dialer
	keep    time.Duration
	most    int

	mu     sync.Mutex
	idle   []*conn // the one that came back last is used first
	dials  uint64
	closed bool
}

// take gives a connection that is kept, or nil.
func (p *pool) take() *conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1], p.idle = nil, p.idle[:n-1]
		p.mu.Unlock()
		c.expiry.Stop() // if it has fired, expire does not find the connection any more
		if c.quiet() {
			return c
		}
		_ = c.Close()
	}
}

// dial makes a new connection.
func (p *pool) dial(ctx context.Context) (*conn, error) {
	nc, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.dials++
	p.mu.Unlock()
	return &conn{Conn: nc}, nil
}

// put keeps a connection whose last answer was read to its end, or closes it.
func (p *pool) put(c *conn) {
	if c.SetDeadline(time.Time{}) != nil || !c.quiet() {
		_ = c.Close()
		return
	}
	c.reused = true
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.most {
		_ = c.Close()
		return
	}
	c.expiry = time.AfterFunc(p.keep, func() { p.expire(c) })
	p.idle = append(p.idle, c)
}

// expire closes a connection that nobody used for too long.
func (p *pool) expire(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.idle {
		if p.idle[i] == c {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			_ = c.Close()
			return
		}
	}
}

// close closes what is kept, and keeps nothing more.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.expiry.Stop()
		_ = c.Close()
	}
	p.idle = nil
}

func (p *pool) stats() (dials uint64, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials, len(p.idle)
}
