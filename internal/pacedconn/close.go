package pacedconn

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lookAgain is how often a closing connection is looked at.
const lookAgain = 20 * time.Millisecond

// CloseGently ends the answer, and closes the connection once the reader's kernel has all of it, or after limit. What
// comes meanwhile is dropped. Close alone would have the kernel reset a connection on which something came that was not
// read, and throw away what is left to send.
func (c *Conn) CloseGently(limit time.Duration) error {
	if c.tcp != nil && c.CloseWrite() == nil {
		c.awaitTaken(time.Now().Add(limit))
	}
	return c.Close()
}

// awaitTaken waits until nothing is left to send, the reader has closed its side, or the time is over.
func (c *Conn) awaitTaken(end time.Time) {
	var drop [512]byte
	for now := time.Now(); now.Before(end); now = time.Now() {
		if n, err := c.unacknowledged(); n == 0 || err != nil {
			return
		}
		if c.SetReadDeadline(now.Add(lookAgain)) != nil {
			return
		}
		var err error
		for err == nil {
			_, err = c.Read(drop[:])
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// unacknowledged is how much of what was written the reader's kernel has not acknowledged, the end included.
func (c *Conn) unacknowledged() (n int, err error) {
	e := c.raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return n, errors.Join(e, err)
}
