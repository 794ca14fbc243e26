package pacedconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Conn is an accepted connection. It adds two things to net.Conn.
//
// A header can be held back until the body's first bytes come, so that one system call carries both: see Hold.
//
// The reader's pace is enforced on every write: see Pace.
//
// As net.Conn demands, one goroutine may read while another writes; writes come one at a time.
type Conn struct {
	net.Conn
	tcp   *net.TCPConn    // nil when the connection is anything else
	raw   syscall.RawConn // of tcp
	pace  Pace
	total int64 // bytes that the kernel took, ever

	hold bool   // the next Write is a header
	held []byte // it

	// One write at a time.
	parts   [2][]byte          // what is left of it: held bytes, then the caller's
	wrote   int                // bytes of it that the kernel took
	failed  error              // why it ended early
	attempt func(uintptr) bool // writeSome, bound once

	turn turn

	clock  clock
	leave  func() // gives the place back
	closed sync.Once
}

var _ net.Conn = (*Conn)(nil)

func newConn(nc net.Conn, p Pace, leave func()) (*Conn, error) {
	c := &Conn{Conn: nc, pace: p, leave: leave}
	c.turn.over.L = &c.turn.mu
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

// IsTCP says whether the connection is plain TCP: whether Hold works and Write may be given mapped memory.
func (c *Conn) IsTCP() bool { return c.tcp != nil }

// Hold makes the next Write keep its bytes, a header, and the one after it bring them along. Only for plain TCP.
func (c *Conn) Hold() { c.hold = true }

// Write writes p, after what is held back.
func (c *Conn) Write(p []byte) (int, error) {
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
func (c *Conn) writeParts() error {
	c.turn.begin()
	defer c.turn.end()
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
		if moved, e := c.nextWindow(); e != nil || moved < c.pace.Bytes {
			// The kernel would keep what was not taken, and try, for minutes: the coming Close drops it.
			_ = c.tcp.SetLinger(0)
			return err
		}
	}
}

// writeSome gives the kernel what it takes now. It returns false to be called again once the socket takes more.
func (c *Conn) writeSome(fd uintptr) bool {
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
func (c *Conn) write(fd int) (int, error) {
	if len(c.parts[0]) == 0 {
		return unix.Write(fd, c.parts[1])
	}
	return unix.Writev(fd, c.parts[:])
}

// advance notes that the kernel took n bytes.
func (c *Conn) advance(n int) {
	c.wrote += n
	first := min(n, len(c.parts[0]))
	c.parts[0] = c.parts[0][first:]
	c.parts[1] = c.parts[1][n-first:]
}

// Read reads once no write is under way. net/http reads all the time, to see clients leave, and so at the very moment
// when an answer is copied to the socket. The kernel would make it wait for the socket's lock, which keeps a thread of
// ours, and with it the work of others. Who leaves during a write makes the write fail.
func (c *Conn) Read(p []byte) (int, error) {
	c.turn.wait()
	return c.Conn.Read(p)
}

// turn lets reads wait for the write under way.
type turn struct {
	mu      sync.Mutex
	over    sync.Cond // of mu: no write is under way
	writing bool      // under mu
}

func (t *turn) begin() {
	t.mu.Lock()
	t.writing = true
	t.mu.Unlock()
}

func (t *turn) end() {
	t.mu.Lock()
	t.writing = false
	t.mu.Unlock()
	t.over.Broadcast()
}

func (t *turn) wait() {
	t.mu.Lock()
	for t.writing {
		t.over.Wait()
	}
	t.mu.Unlock()
}

// CloseWrite ends the answer and leaves the connection readable, where that exists: net/http does so before it closes
// a connection whose request it has not read.
func (c *Conn) CloseWrite() error {
	if c.tcp == nil {
		return nil
	}
	return c.tcp.CloseWrite()
}

// Close closes the connection and gives its place to another.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.closed.Do(c.leave)
	return err
}
