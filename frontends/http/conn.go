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
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
)

// pace is how slowly a reader may read.
type pace struct {
	window time.Duration
	bytes  int64 // that must be taken in a window
}

// conn is an accepted connection under net/http. It adds two things to net.Conn.
//
// A header can be held back until the body's first bytes come, so that one system call carries both: net/http empties
// its buffers with a flush, and a flush alone would be a packet of its own.
//
// The reader's pace is enforced on every write. What counts is what the reader's kernel acknowledged: the send buffer
// may hold megabytes, and is reported writable only when a third of it is free, so what our kernel takes says little.
// A window opens when a write blocks, and lasts pace.window of blocked time; at its end the reader has taken
// pace.bytes, or the connection is cut. A write that the kernel takes at once costs no deadline. net/http clears the
// write deadline after each answer, and with it the window.
//
// As net.Conn demands, one goroutine may read while another writes; writes are net/http's alone, one at a time.
type conn struct {
	net.Conn
	tcp  *net.TCPConn    // nil when the connection is anything else
	raw  syscall.RawConn // of tcp
	pace pace

	hold bool   // the next Write is a header
	held []byte // it

	// One write at a time.
	parts   [2][]byte          // what is left of it: held bytes, then the caller's
	wrote   int                // bytes of it that the kernel took
	failed  error              // why it ended early
	attempt func(uintptr) bool // writeSome, bound once

	armed   bool          // a deadline is set on the socket
	window  bool          // a window is open
	blocked time.Time     // when this write began to wait in it; zero while it has not
	spent   time.Duration // in it, by earlier writes
	base    int64         // of acknowledged bytes, when it opened
	total   int64         // bytes that the kernel took, ever

	open   *atomic.Int64
	closed sync.Once
}

func newConn(nc net.Conn, p pace, open *atomic.Int64) (*conn, error) {
	c := &conn{Conn: nc, pace: p, open: open}
	if tcp, ok := nc.(*net.TCPConn); ok {
		raw, err := tcp.SyscallConn()
		if err != nil {
			return nil, err
		}
		c.tcp, c.raw, c.attempt = tcp, raw, c.writeSome
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
	c.wrote, c.failed, c.blocked = 0, nil, time.Time{}
	err := c.writeParts()
	c.total += int64(c.wrote)
	c.parts, c.held = [2][]byte{}, c.held[:0]
	return max(0, c.wrote-before), err
}

// writeParts writes c.parts, window by window.
func (c *conn) writeParts() error {
	if c.window {
		if err := c.arm(time.Now()); err != nil {
			return err
		}
	}
	for {
		err := c.raw.Write(c.attempt)
		if c.failed != nil {
			err = c.failed
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			if !c.blocked.IsZero() {
				c.spent += time.Since(c.blocked)
			}
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

// wait prepares for waiting: it opens a window when there is none.
func (c *conn) wait(fd int) error {
	if !c.blocked.IsZero() {
		return nil
	}
	c.blocked = time.Now()
	if c.window {
		return nil // armed when the write began
	}
	if _, err := c.openWindow(fd); err != nil {
		return err
	}
	return c.arm(c.blocked)
}

// openWindow starts to count anew, and gives the bytes that the reader took in the window before.
func (c *conn) openWindow(fd int) (int64, error) {
	queued, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return 0, os.NewSyscallError("ioctl", err)
	}
	acknowledged := c.total + int64(c.wrote-queued)
	moved := acknowledged - c.base
	c.window, c.spent, c.base = true, 0, acknowledged
	return moved, nil
}

// nextWindow follows on a window that is over.
func (c *conn) nextWindow() (moved int64, err error) {
	e := c.raw.Control(func(fd uintptr) { moved, err = c.openWindow(int(fd)) })
	c.blocked = time.Now()
	return moved, errors.Join(e, err, c.arm(c.blocked))
}

// arm sets the deadline to the end of the window.
func (c *conn) arm(now time.Time) error {
	c.armed = true
	return c.tcp.SetWriteDeadline(now.Add(c.pace.window - c.spent))
}

// SetWriteDeadline closes the window, whatever t; all that net/http asks for here is no deadline, between answers.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.window, c.spent = false, 0
	if !c.armed && t.IsZero() {
		return nil
	}
	c.armed = !t.IsZero()
	return c.Conn.SetWriteDeadline(t)
}

// writePlain is Write for what is not plain TCP: pieces that a reader of the least rate takes in one window.
func (c *conn) writePlain(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		piece := p[done:min(len(p), done+int(max(c.pace.bytes, blob.MinSinkWrite)))]
		c.armed = true
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.pace.window)); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(piece)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
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
