package peerd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/internal/pacedconn"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// session is one connection. It belongs to the goroutine that serves it, but for state.
type session struct {
	s     *Server
	conn  *pacedconn.Conn
	in    peer.Messages
	json  []byte // the answer; kept for the next one while it is small
	state atomic.Int32

	answered bool // there was an answer, and its end may still be on the way
	cut      bool // an answer ended too early, and the connection with it
}

// The states of a session. A drain closes those that are idle.
const (
	idle   int32 = iota // no byte of a request has come
	busy                // between the first byte of a request and the end of its answer
	closed              // by a drain
)

// keptJSON is the largest buffer for an answer that is kept.
const keptJSON = 1 << 10

func newSession(s *Server, c *pacedconn.Conn) *session { return &session{s: s, conn: c} }

// closeIdle closes the connection if nothing was asked.
func (c *session) closeIdle() {
	if c.state.CompareAndSwap(idle, closed) {
		_ = c.conn.Close()
	}
}

// serve answers requests until one side has enough. A panic that is a bug of ours or of a store ends this connection only;
// its stack and value carry no request.
func (c *session) serve() {
	defer c.close()
	defer func() {
		if failed := recover(); failed != nil {
			c.cut = true
			c.s.count.panics.Add(1)
			c.s.opt.Logger.Error("peer: panic while answering", "panic", fmt.Sprint(failed), "stack", string(debug.Stack()))
		}
	}()
	for {
		message, err := c.receive()
		if err != nil {
			c.ended(err)
			return
		}
		if !c.respond(message) {
			return
		}
		c.answered = true
		if err := c.conn.EndAnswer(); err != nil {
			return
		}
		c.state.Store(idle)
		if c.s.draining.Load() {
			return
		}
	}
}

// close closes the connection. The client may have sent what nobody will read: that must not cost it the answer before.
func (c *session) close() {
	if c.answered && !c.cut {
		_ = c.conn.CloseGently(c.s.opt.RequestTimeout)
	}
	_ = c.conn.Close()
}

// errDrained: the server closed the connection before a request came.
var errDrained = errors.New("peer: drained")

// receive waits for a request.
func (c *session) receive() ([]byte, error) {
	waiting := false
	for {
		message, err := c.in.Next()
		if err != nil {
			return nil, err
		}
		began := message != nil || c.in.Held() > 0
		if began && c.state.Load() != busy {
			if !c.state.CompareAndSwap(idle, busy) {
				return nil, errDrained
			}
			waiting = false
		}
		if message != nil {
			return message, nil
		}
		if !waiting { // one deadline for the pause, one for the request; what comes in between moves neither
			waiting = true
			limit := c.s.opt.IdleTimeout
			if began {
				limit = c.s.opt.RequestTimeout
			}
			if err := c.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
				return nil, err
			}
		}
		n, err := c.conn.Read(c.in.Room())
		c.in.Add(n)
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// ended counts why a connection ended, where that is not the way they all end.
func (c *session) ended(err error) {
	partial := c.state.Load() == busy
	switch {
	case errors.Is(err, errDrained), errors.Is(err, net.ErrClosed):
		return
	case errors.Is(err, io.EOF) && partial:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded) && !partial:
		return
	}
	c.s.count.errors.Count(err)
}
