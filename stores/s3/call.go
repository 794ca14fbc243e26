package s3

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/OdyseeTeam/prism/blob"
)

// call is one call of the server, with its retries.
type call struct {
	store  *Store
	verb   string // what errors say that it does
	hash   blob.Hash
	parent context.Context // the caller's
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool // from the store's Close
	timer  *time.Timer // ends ctx when the answer is late
	done   func(error) // tells the breaker
}

// begin starts a call. The caller ends it, and gives what came of it to answered before.
func (s *Store) begin(ctx context.Context, verb string, h blob.Hash) (*call, error) {
	if s.closed.Load() {
		return nil, s.errClosed()
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	done, err := s.breaker.Allow()
	if err != nil {
		s.counts.errors.Add(1)
		return nil, fmt.Errorf("%s %s: %w: %w", verb, h.Short(), blob.ErrUnavailable, err)
	}
	c := &call{store: s, verb: verb, hash: h, parent: ctx, done: done}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.unhook = context.AfterFunc(s.root, func() { c.cancel(s.errClosed()) })
	c.timer = c.endAfter(s.limit, "the server has not answered within")
	return c, nil
}

// endAfter ends the call after some time.
func (c *call) endAfter(d time.Duration, why string) *time.Timer {
	return time.AfterFunc(d, func() { c.cancel(fmt.Errorf("%s %v: %w", why, d, os.ErrDeadlineExceeded)) })
}

// answered says what the outcome of the call means, to the breaker and to the caller. It is called once.
func (c *call) answered(err error) error {
	c.timer.Stop()
	if err == nil {
		c.done(nil)
		return nil
	}
	meaning := c.fault(err)
	if isAnswer(err) {
		c.done(nil)
	} else {
		c.done(meaning)
	}
	return meaning
}

// end gives everything back.
func (c *call) end() {
	c.unhook()
	c.timer.Stop()
	c.cancel(nil)
}

// body is an object on its way.
type body struct {
	*call
	size int64
	data io.ReadCloser
}

// fetch asks for a blob. The caller ends or closes the body.
func (s *Store) fetch(ctx context.Context, h blob.Hash) (*body, error) {
	c, err := s.begin(ctx, "get", h)
	if err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(c.ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(h)})
	if err := c.answered(err); err != nil {
		c.end()
		return nil, err
	}
	b := &body{call: c, data: out.Body}
	if err := b.accept(out); err != nil {
		b.end()
		return nil, err
	}
	c.timer = c.endAfter(s.idle, "no byte came for")
	c.timer.Stop()
	return b, nil
}

// accept judges the head of an object.
func (b *body) accept(out *s3.GetObjectOutput) error {
	switch {
	case out.ContentLength == nil || *out.ContentLength < 0:
		return b.errorf("%w: the server does not say how long the object is", blob.ErrUnavailable)
	// aws-chunked is how an upload was framed, and stays on objects at some servers.
	case out.ContentEncoding != nil && *out.ContentEncoding != "" && *out.ContentEncoding != "identity" && *out.ContentEncoding != "aws-chunked":
		return b.errorf("%w: the object is encoded", blob.ErrCorrupt)
	case out.ContentRange != nil:
		return b.errorf("%w: the server gives a part of the object", blob.ErrUnavailable)
	case *out.ContentLength == 0:
		return b.errorf("%w: the object is empty", blob.ErrNotFound)
	case *out.ContentLength > blob.MaxSize:
		return b.errorf("%w: the object has %d bytes", blob.ErrTooBig, *out.ContentLength)
	}
	b.size = *out.ContentLength
	return nil
}

// collect reads the whole object into buf and verifies it.
func (b *body) collect(buf []byte) (blob.Verified, error) {
	st, err := blob.NewStream(b.hash, b.size, b)
	if err != nil {
		return blob.Verified{}, b.errorf("%w", err)
	}
	v, err := b.store.lanes.Collect(st, buf, nil)
	if err != nil {
		err = b.errorf("%w", err)
	}
	return v, err
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.store.idle)
	n, err := b.data.Read(p)
	b.timer.Stop()
	b.store.counts.bytesIn.Add(int64(n))
	if err != nil && err != io.EOF {
		err = b.fault(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.end()
	return nil
}

// end gives everything back. The connection lives on if the body was read to its end.
func (b *body) end() {
	_ = b.data.Close()
	b.call.end()
}

// counts are what Stats is made of.
type counts struct {
	bytesIn, bytesOut, errors atomic.Int64
}

// Stats is a snapshot.
type Stats struct {
	BytesIn  int64 // of blobs, read from the bucket
	BytesOut int64 // of blobs, written to the bucket
	Requests int64 // that were sent, retries included
	Errors   int64 // calls that failed, those for missing blobs and of callers who left not among them
	Open     bool  // the server keeps failing and is left alone for a moment
}

// Stats counts what was done so far.
func (s *Store) Stats() Stats {
	return Stats{
		BytesIn:  s.counts.bytesIn.Load(),
		BytesOut: s.counts.bytesOut.Load(),
		Requests: s.wire.requests.Load(),
		Errors:   s.counts.errors.Load(),
		Open:     s.breaker.Open(),
	}
}
