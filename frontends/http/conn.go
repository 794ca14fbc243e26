package httpd

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// conn is an accepted connection under net/http. It adds two things to net.Conn.
//
// A header can be held back until the body's first bytes come, so that one system call carries both: net/http empties
// its buffers with a flush, and a flush alone would be a packet of its own.
//
// The reader's pace is enforced on every write: see pace.
//
// As net.Conn demands, one goroutine may read while another writes; writes are net/http's alone, one at a time.
type conn struct {
	net.Conn
	tcp   *net.TCPConn    // nil when the connection is anything else
	raw   syscall.RawConn // of tcp
	pace  pace
	total int64 // bytes that the kernel took, ever

	hold bool   // the next Write is a header
	held []byte // it

	// One write at a time.
	parts   [2][]byte          // what is left of it: held bytes, then the caller's
	wrote   int                // bytes of it that the kernel took
	failed  error              // why it ended early
	attempt func(uintptr) bool // writeSome, bound once

	clock  clock
	open   *atomic.Int64
	closed sync.Once
	silent bool // it is in Server.silent; for Server.track alone, which net/http calls in sequence
}

var _ net.Conn = (*conn)(nil)

func newConn(nc net.Conn, p pace, open *atomic.Int64) (*conn, error) {
	c := &conn{Conn: nc, pace: p, open: open}
	if tcp, ok := nc.(*net.TCPConn); ok {
		raw, err := tcp.SyscallConn()
		if err != nil {
			return nil, err
		}
		c.tcp, c.raw, c.attempt = tcp, raw, c.writeSome
		return c, c.limitUnsent(shallow)
	}
	return c, nil
}

// connKey is the key under which a request's context has its conn.
type connKey struct{}

// connOf is the connection that a request came over, or nil when it is not one of ours.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// holdHeader makes the next Write wait for the one after it. Only for plain TCP.
func (c *conn) holdHeader() { c.hold = true }

// Write writes p, after what is held back.
func (c *conn) Write(p []byte) (int, error) {
	if c.hold {
		c.hold = false
		c.held = append(c.held[:0], p...)
		return len(p), nil
	}
	if c.tcp == nil {
		return c.writePlain(p)
	}
	before := len(c.held)
	c.parts = [2][]byte{c.held, p}
	c.wrote, c.failed = 0, nil
	err := c.writeParts()
	c.total += int64(c.wrote)
	c.parts, c.held = [2][]byte{}, c.held[:0]
	return max(0, c.wrote-before), err
}

// writeParts writes c.parts, window by window.
func (c *conn) writeParts() error {
	if err := c.beginWrite(); err != nil {
		return err
	}
	defer c.endWrite()
	for {
		err := c.raw.Write(c.attempt)
		if c.failed != nil {
			err = c.failed
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if moved, e := c.nextWindow(); e != nil || moved < c.pace.bytes {
			// The kernel would keep what was not taken, and try, for minutes: the coming Close drops it.
			_ = c.tcp.SetLinger(0)
			return err
		}
	}
}

// writeSome gives the kernel what it takes now. It returns false to be called again once the socket takes more.
func (c *conn) writeSome(fd uintptr) bool {
	for {
		n, err := c.write(int(fd))
		switch {
		case n > 0:
			c.advance(n)
			if len(c.parts[0])+len(c.parts[1]) == 0 {
				return true
			}
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if c.failed = c.wait(int(fd)); c.failed != nil {
				return true
			}
			return false
		case err != nil:
			c.failed = os.NewSyscallError("write", err)
			return true
		default:
			c.failed = io.ErrUnexpectedEOF
			return true
		}
	}
}

// write is one system call. Nothing here looks at the bytes: they may be mapped memory.
func (c *conn) write(fd int) (int, error) {
	if len(c.parts[0]) == 0 {
		return unix.Write(fd, c.parts[1])
	}
	return unix.Writev(fd, c.parts[:])
}

// advance notes that the kernel took n bytes.
func (c *conn) advance(n int) {
	c.wrote += n
	first := min(n, len(c.parts[0]))
	c.parts[0] = c.parts[0][first:]
	c.parts[1] = c.parts[1][n-first:]
}

// CloseWrite ends the answer and leaves the connection readable, where that exists: net/http does so before it closes
// a connection whose request it has not read.
func (c *conn) CloseWrite() error {
	if c.tcp == nil {
		return nil
	}
	return c.tcp.CloseWrite()
}

// Close closes the connection and gives its place to another.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() { c.open.Add(-1) })
	return err
}
