package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// transfer is one request, its answer, and the blob that may follow. It reads with a deadline of progress, and turns
// errors into ours.
type transfer struct {
	store  *Store
	hash   blob.Hash
	conn   *conn
	answer peer.Response
	left   int64 // bytes of the blob that have not been read
	clean  bool  // after left bytes the connection is good for another request

	parent context.Context // the caller's
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool // from the store's Close
	loose  func() bool // stops the end of ctx from ending the connection's calls; false when it has
	done   func(error) // tells the breaker how it went
	failed error       // why the transfer failed, if it did
}

// ask sends a request and gives its answer. The caller ends the transfer.
func (s *Store) ask(ctx context.Context, h blob.Hash, req peer.Request) (*transfer, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	done, err := s.breaker.Allow()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, blob.ErrUnavailable)
	}
	t := &transfer{store: s, hash: h, parent: ctx, done: done}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.unhook = context.AfterFunc(s.root, func() { t.cancel(s.errClosed()) })
	if err := t.exchange(req.Append(nil)); err != nil {
		err = t.fault("ask for", err)
		t.end()
		return nil, err
	}
	return t, nil
}

// exchange sends a request over a connection that was kept, if there is one. Whatever is wrong with that one, but for
// taking too long, may come of its age: then the request goes over a new one.
func (t *transfer) exchange(request []byte) error {
	if c := t.store.pool.take(); c != nil {
		err := t.over(c, request)
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || t.ctx.Err() != nil {
			return err
		}
		t.drop()
	}
	c, err := t.store.pool.dial(t.ctx)
	if err != nil {
		return err
	}
	return t.over(c, request)
}

// over sends the request over a connection, which is the transfer's from now on, and reads the answer.
func (t *transfer) over(c *conn, request []byte) error {
	t.conn = c
	t.loose = context.AfterFunc(t.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	if err := c.SetDeadline(time.Now().Add(t.store.header)); err != nil {
		return err
	}
	if err := t.ctx.Err(); err != nil { // the deadline that its end had set is gone
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	for {
		message, err := c.in.Next()
		if err != nil {
			return err
		}
		if message != nil {
			t.answer, err = peer.ParseResponse(message)
			t.clean = err == nil
			return err
		}
		n, err := c.Read(c.in.Room())
		c.in.Add(n)
		if n == 0 && err != nil {
			return ended(err)
		}
	}
}

// ended says of an end that it came too early.
func ended(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fetch asks for a blob and takes only an answer that one may follow. The caller ends or closes the transfer.
func (s *Store) fetch(ctx context.Context, h blob.Hash) (*transfer, error) {
	t, err := s.ask(ctx, h, peer.Request{Blob: h, HasBlob: true})
	if err != nil {
		return nil, err
	}
	if err := t.accept(); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// accept judges what an answer says of the blob that was asked for.
func (t *transfer) accept() error {
	in := t.answer.Incoming
	switch {
	case in == nil:
		return t.errorf("%w", blob.ErrNotFound)
	case strings.Contains(in.Error, peer.NotFound): // old servers may say before it where they looked
		return t.errorf("%w", blob.ErrNotFound)
	case in.Error != "":
		t.failed = t.errorf("%w: the origin says %.100q", blob.ErrUnavailable, in.Error)
		return t.failed
	case in.Length == 0:
		return t.errorf("%w", blob.ErrNotFound)
	}
	t.clean = false
	switch {
	case in.Hash != t.hash:
		return t.errorf("%w: the origin gives another blob", blob.ErrCorrupt)
	case in.Length < 0:
		return t.errorf("%w: the origin announces %d bytes", blob.ErrCorrupt, in.Length)
	case in.Length > blob.MaxSize:
		return t.errorf("%w: the origin announces %d bytes", blob.ErrTooBig, in.Length)
	}
	t.left, t.clean = in.Length, true
	return nil
}

// errorf names the store and the blob before what it is given.
func (t *transfer) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: get %s: %w", t.store.name, t.hash.Short(), fmt.Errorf(format, args...))
}

// fault is the error of a call that failed with err: the caller's context comes first, then what ended the transfer,
// then err itself.
func (t *transfer) fault(call string, err error) error {
	where := fmt.Sprintf("%s: %s %s", t.store.name, call, t.hash.Short())
	if ended := t.parent.Err(); ended != nil {
		t.failed = fmt.Errorf("%s: %w", where, ended)
		return t.failed
	}
	if cause := context.Cause(t.ctx); cause != nil {
		err = cause
	}
	t.failed = fmt.Errorf("%s: %w: %w", where, blob.ErrUnavailable, err)
	return t.failed
}

// Read implements io.Reader.
func (t *transfer) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), t.left)]
	n := t.conn.in.Take(p)
	if n == 0 {
		var err error
		if n, err = t.readConn(p); n == 0 && err != nil {
			return 0, t.fault("read", ended(err))
		}
	}
	t.left -= int64(n)
	t.store.bytesIn.Add(uint64(n))
	return n, nil
}

// readConn reads what comes within the time for progress.
func (t *transfer) readConn(p []byte) (int, error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.store.idle)); err != nil {
		return 0, err
	}
	if err := t.ctx.Err(); err != nil { // the deadline that its end had set is gone
		return 0, err
	}
	return t.conn.Read(p)
}

// Close implements io.Closer.
func (t *transfer) Close() error {
	t.end()
	return nil
}

// end gives everything back, once. The connection lives on if all that was announced was read.
func (t *transfer) end() {
	if t.done == nil {
		return
	}
	t.unhook()
	if t.conn != nil {
		if t.clean && t.left == 0 && t.failed == nil && t.loose() {
			t.store.pool.put(t.conn)
			t.conn = nil
		} else {
			t.drop()
		}
	}
	t.cancel(nil)
	t.done(t.failed)
	t.done = nil
}

// drop closes the connection.
func (t *transfer) drop() {
	t.loose()
	_ = t.conn.Close()
	t.conn, t.clean = nil, false
}

// takeBuffer waits for a buffer of 2 MiB, which goes back to the store's budget.
func (t *transfer) takeBuffer() ([]byte, error) {
	buf, err := t.store.bufs.Get(t.ctx)
	if err != nil {
		t.failed = fmt.Errorf("%w: %w", t.fault("wait for a buffer for", err), blob.ErrBusy)
		return nil, t.failed
	}
	return buf, nil
}

// collect reads the whole body into buf and verifies it.
func (t *transfer) collect(buf []byte) (blob.Verified, error) {
	st, err := blob.NewStream(t.hash, t.left, t)
	if err != nil {
		return blob.Verified{}, t.errorf("%w", err)
	}
	v, err := t.store.lanes.Collect(st, buf, nil)
	if err != nil {
		err = t.errorf("%w", err)
	}
	return v, err
}
