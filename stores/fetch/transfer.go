package fetch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// transfer is one request and its answer's body. It reads with a deadline of progress, and turns errors into ours.
type transfer struct {
	store  *Store
	hash   blob.Hash
	resp   *http.Response
	size   int64           // of the body; -1 if the origin did not say
	parent context.Context // the caller's
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool // from the store's Close
	timer  *time.Timer // ends ctx when a read brings nothing for too long
	done   func(error) // tells the breaker how it went; nil once it was told
	failed error       // why the transfer failed, if it did
}

// ask sends a request and gives its answer, whatever the status. The caller ends the transfer.
func (s *Store) ask(ctx context.Context, call Call, h blob.Hash) (*transfer, error) {
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
	if err := t.send(call); err != nil {
		t.end()
		return nil, err
	}
	idle := s.origin.IdleTimeout
	t.timer = time.AfterFunc(idle, func() {
		t.cancel(fmt.Errorf("no byte came for %v: %w", idle, os.ErrDeadlineExceeded))
	})
	t.timer.Stop()
	return t, nil
}

// send sends the request and waits for the header of its answer.
func (t *transfer) send(call Call) error {
	req, err := t.store.newRequest(t.ctx, call, t.hash)
	if err != nil {
		return err
	}
	// RoundTrip and not a Client: it follows no redirect and keeps the URL, which may hold a token, out of errors.
	t.resp, err = t.store.origin.Transport.RoundTrip(req) //nolint:bodyclose // end closes it
	if err != nil {
		return t.fault("ask for", err)
	}
	return nil
}

// fetch asks for a blob and takes only an answer whose body may be one. The caller ends or closes the transfer.
func (s *Store) fetch(ctx context.Context, h blob.Hash) (*transfer, error) {
	t, err := s.ask(ctx, s.origin.Get, h)
	if err != nil {
		return nil, err
	}
	if err := t.accept(); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// accept judges the head of an answer to GET.
func (t *transfer) accept() error {
	switch t.resp.StatusCode {
	case http.StatusOK, http.StatusNotFound:
		blob.TraceOf(t.parent).Add(httpblob.DecodeVia(t.resp.Header.Get(httpblob.ViaHeader))...)
	}
	switch t.resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		t.drain()
		return t.notFound()
	case http.StatusForbidden:
		t.drain()
		return t.errorf("%w", t.store.origin.Forbidden)
	default:
		return t.badStatus()
	}
	if enc := t.resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return t.errorf("%w: the body is encoded, though identity was asked for", blob.ErrCorrupt)
	}
	t.size = t.resp.ContentLength
	switch {
	case t.size == 0:
		return t.notFound() // what old servers answer on a miss
	case t.size > blob.MaxSize:
		return t.errorf("%w: the origin announces %d bytes", blob.ErrTooBig, t.size)
	}
	return nil
}

func (t *transfer) notFound() error { return t.errorf("%w", blob.ErrNotFound) }

// badStatus says nothing about whether the blob exists.
func (t *transfer) badStatus() error {
	code := t.resp.StatusCode
	hint := http.StatusText(code)
	if 300 <= code && code < 400 {
		hint = "redirects are not followed; configure the place itself"
	}
	t.failed = t.errorf("%w: the origin answers %d (%s)", blob.ErrUnavailable, code, hint)
	return t.failed
}

// errorf names the store and the blob before what it is given.
func (t *transfer) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: get %s: %w", t.store.origin.Name, t.hash.Short(), fmt.Errorf(format, args...))
}

// fault is the error of a call that failed with err: the caller's context comes first, then what ended the transfer,
// then err itself.
func (t *transfer) fault(call string, err error) error {
	where := fmt.Sprintf("%s: %s %s", t.store.origin.Name, call, t.hash.Short())
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
	t.timer.Reset(t.store.origin.IdleTimeout)
	n, err := t.resp.Body.Read(p)
	t.timer.Stop()
	t.store.bytesIn.Add(uint64(n))
	if err != nil && err != io.EOF {
		err = t.fault("read", err)
	}
	return n, err
}

// Close implements io.Closer.
func (t *transfer) Close() error {
	t.end()
	return nil
}

// end gives everything back. The connection lives on if the body was read to its end.
func (t *transfer) end() {
	t.unhook()
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.resp != nil {
		t.resp.Body.Close()
	}
	t.cancel(nil)
	if t.done != nil {
		t.done(t.failed)
		t.done = nil
	}
}

// The bounds of a drain.
const (
	drainBytes = 4 << 10
	drainTime  = time.Second
)

// drain reads a small body that nobody wants, so that the connection can be used again.
func (t *transfer) drain() {
	t.timer.Reset(min(drainTime, t.store.origin.IdleTimeout))
	defer t.timer.Stop()
	_, _ = io.CopyN(io.Discard, t.resp.Body, drainBytes) // only the connection's reuse depends on it
}

// takeBuffer waits for a buffer of 2 MiB, which goes back to the store's budget.
func (t *transfer) takeBuffer() ([]byte, error) {
	buf, err := t.store.bufs.Get(t.ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", t.fault("wait for a buffer for", err), blob.ErrBusy)
		t.failed = err
		return nil, err
	}
	return buf, nil
}

// collect reads the whole body into buf and verifies it.
func (t *transfer) collect(buf []byte) (blob.Verified, error) {
	size := t.size
	if size < 0 {
		n, err := t.slurp(buf)
		if err != nil {
			return blob.Verified{}, err
		}
		v, err := t.store.lanes.Verify(t.hash, buf[:n])
		if err != nil {
			err = t.errorf("%w", err)
		}
		return v, err
	}
	st, err := blob.NewStream(t.hash, size, t)
	if err != nil {
		return blob.Verified{}, t.errorf("%w", err)
	}
	v, err := t.store.lanes.Collect(st, buf, nil)
	if err != nil {
		err = t.errorf("%w", err)
	}
	return v, err
}

// slurp reads a body of unknown length to its end, at most blob.MaxSize bytes. A body without bytes is a miss.
func (t *transfer) slurp(buf []byte) (int, error) {
	n, err := io.ReadFull(t, buf[:blob.MaxSize])
	switch {
	case err == io.EOF:
		return 0, t.notFound()
	case err == io.ErrUnexpectedEOF:
		return n, nil
	case err != nil:
		return 0, err
	}
	var more [1]byte
	if k, err := io.ReadFull(t, more[:]); k > 0 {
		return 0, t.errorf("%w: the body has no end", blob.ErrTooBig)
	} else if err != io.EOF {
		return 0, err
	}
	return n, nil
}

// buffered is a body that was read to its end before it became a stream.
type buffered struct {
	*bytes.Reader
	free func()
}

// buffer reads a body of unknown length, because a stream's size comes before its bytes, and ends the transfer.
func (s *Store) buffer(t *transfer) (*buffered, error) {
	defer t.end()
	buf, err := t.takeBuffer()
	if err != nil {
		return nil, err
	}
	n, err := t.slurp(buf)
	if err != nil {
		s.bufs.Put(buf)
		return nil, err
	}
	return &buffered{Reader: bytes.NewReader(buf[:n]), free: func() { s.bufs.Put(buf) }}, nil
}

// Close implements io.Closer.
func (b *buffered) Close() error {
	if b.free != nil {
		b.free()
		b.free = nil
	}
	return nil
}
