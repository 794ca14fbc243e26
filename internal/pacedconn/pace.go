package pacedconn

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pace is how slowly a reader may read: while writes wait for it, it takes Bytes in each Window.
//
// What counts is what the reader's kernel acknowledged. What ours took says little: a send buffer may hold megabytes,
// and is reported writable only when a third of it is free.
//
// Only time that a write is blocked counts. A window opens when one blocks, and at its end the reader has taken its
// bytes, or the connection is cut. A write that the kernel takes at once costs neither a deadline nor a look at the
// clock. EndAnswer closes the window.
type Pace struct {
	Window time.Duration
	Bytes  int64
	// Piece is the least size of the pieces in which what is not plain TCP is given larger writes.
	Piece int
}

// PaceOf is the pace of a reader that takes rate bytes a second, over each window.
func PaceOf(rate int64, window time.Duration, piece int) Pace {
	return Pace{Window: window, Bytes: max(int64(float64(rate)*window.Seconds()), 1), Piece: piece}
}

// clock is where a connection stands in its window.
type clock struct {
	armed   bool          // a deadline is set on the socket
	open    bool          // there is a window
	blocked time.Time     // when this write began to wait in it; zero while it has not
	spent   time.Duration // in it, by earlier writes
	base    int64         // of acknowledged bytes, when it opened

	waited time.Duration // blocked in this answer, all windows
	begin  int64         // of bytes, where this answer began
	deep   bool          // the limit of shallow is lifted
}

// A connection's send queue holds at most about shallow bytes that have not left yet, until its reader has taken a
// larger answer while making us wait for less than prompt. The kernel sizes send buffers for what a path could carry:
// without the limit, thousands of readers that are slow from the start fill its memory for all of TCP, and everybody
// waits. With it, a prompt reader would cost a few more system calls a blob.
const (
	shallow = 128 << 10
	prompt  = time.Second
)

// limitUnsent bounds the unsent bytes in the send queue; 0 is the system's own bound, which is normally none.
func (c *Conn) limitUnsent(n int) error {
	var err error
	e := c.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
	})
	return errors.Join(e, err)
}

// beginWrite renews the deadline of an open window.
func (c *Conn) beginWrite() error {
	c.clock.blocked = time.Time{}
	if c.clock.open {
		return c.arm(time.Now())
	}
	return nil
}

// endWrite stops the clock.
func (c *Conn) endWrite() {
	if !c.clock.blocked.IsZero() {
		d := time.Since(c.clock.blocked)
		c.clock.spent += d
		c.clock.waited += d
	}
}

// wait prepares for waiting: it opens a window when there is none.
func (c *Conn) wait(fd int) error {
	if !c.clock.blocked.IsZero() {
		return nil
	}
	c.clock.blocked = time.Now()
	if c.clock.open {
		return nil // armed when the write began
	}
	if _, err := c.openWindow(fd); err != nil {
		return err
	}
	return c.arm(c.clock.blocked)
}

// openWindow starts to count anew, and gives the bytes that the reader took since it did so last.
func (c *Conn) openWindow(fd int) (int64, error) {
	queued, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return 0, os.NewSyscallError("ioctl", err)
	}
	acknowledged := c.total + int64(c.wrote-queued)
	moved := acknowledged - c.clock.base
	c.clock.open, c.clock.spent, c.clock.base = true, 0, acknowledged
	return moved, nil
}

// nextWindow follows on a window that is over.
func (c *Conn) nextWindow() (moved int64, err error) {
	e := c.raw.Control(func(fd uintptr) { moved, err = c.openWindow(int(fd)) })
	c.clock.blocked = time.Now()
	c.clock.waited += c.pace.Window
	return moved, errors.Join(e, err, c.arm(c.clock.blocked))
}

// arm sets the deadline to the end of the window.
func (c *Conn) arm(now time.Time) error {
	c.clock.armed = true
	return c.tcp.SetWriteDeadline(now.Add(c.pace.Window - c.clock.spent))
}

// EndAnswer ends an answer: the reader's pace is measured anew in the next one.
func (c *Conn) EndAnswer() error { return c.SetWriteDeadline(time.Time{}) }

// SetWriteDeadline ends an answer, as EndAnswer does: that is when net/http clears the deadline, and it asks for nothing
// else here.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	k := &c.clock
	if c.tcp != nil && !k.deep && c.total-k.begin > shallow && k.waited < prompt {
		k.deep = true
		_ = c.limitUnsent(0) // at worst the reader costs what it did
	}
	k.open, k.spent, k.waited, k.begin = false, 0, 0, c.total
	if !k.armed && t.IsZero() {
		return nil
	}
	k.armed = !t.IsZero()
	return c.Conn.SetWriteDeadline(t)
}

// writePlain is Write for what is not plain TCP: pieces that a reader of the least rate takes in one window.
func (c *Conn) writePlain(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		piece := p[done:min(len(p), done+max(int(c.pace.Bytes), c.pace.Piece, 1))]
		c.clock.armed = true
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.pace.Window)); err != nil {
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
