package httpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// pieceSize is the size of the pieces in which a range is copied to what is no kernel sink.
const pieceSize = 64 << 10

// get answers GET with the blob.
func (q *exchange) get() {
	if !q.open() {
		return
	}
	if status := q.precondition(); status != 0 {
		ok, err := q.exists()
		switch {
		case err != nil:
			q.fail(err)
		case !ok:
			q.fail(blob.ErrNotFound)
		default:
			q.answerPrecondition(status)
		}
		return
	}
	err := q.attempt()
	if errors.Is(err, errUnread) && !q.started && !q.clientGone() {
		// What was pinned could not be read. The store knows by now, and may have the blob elsewhere.
		err = q.attempt()
	}
	if err != nil {
		q.fail(err)
	}
}

// errUnread wraps what a handle could not read.
var errUnread = errors.New("http: read blob")

// attempt looks the blob up and sends it. An error means that the answer is still to be given, or, when it has
// started, to be cut. What the client does to the connection is no error.
func (q *exchange) attempt() error {
	h, err := q.lookUp()
	if err != nil {
		return err
	}
	defer h.Release()
	return q.send(h)
}

// lookUp asks the store, in a slot, which the exchange keeps until its answer starts.
func (q *exchange) lookUp() (blob.Handle, error) {
	if err := q.takeSlot(); err != nil {
		return nil, err
	}
	look := newLookup(q.r.Context(), q.s.opt.LookupTimeout)
	defer look.end()
	ctx := context.Context(look)
	if q.t.via {
		ctx, q.trace = blob.WithTrace(look)
	}
	return q.s.opt.Store.Get(ctx, q.t.hash)
}

// send answers with the blob, or the part of it that was asked for.
func (q *exchange) send(h blob.Handle) error {
	size := h.Size()
	part, status := span{0, size}, http.StatusOK
	if q.r.Header["Range"] != nil {
		switch got, verdict := rangeOf(q.r.Header, httpblob.ETag(q.t.hash), size); verdict {
		case rangeGood:
			part, status = got, http.StatusPartialContent
		case rangeUnsatisfiable:
			q.w.Header()[keyContentRange] = []string{fmt.Sprintf("bytes */%d", size)}
			q.answerText(http.StatusRequestedRangeNotSatisfiable, q.refusal(http.StatusRequestedRangeNotSatisfiable))
			return nil
		case rangeIgnored:
		}
	}
	q.blobHeaders(status, part, size)
	q.out.status = status
	sent, err := q.transfer(h, part, size)
	q.s.count.bytesOut.Add(uint64(sent))
	switch {
	case q.out.failed != nil:
		q.lost(q.out.failed)
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", errUnread, err)
	case sent != part.n:
		return fmt.Errorf("%w: %d bytes of %d", errUnread, sent, part.n)
	}
	if status == http.StatusOK {
		q.s.count.downloads.Add(1)
	}
	return nil
}

// transfer moves the bytes, by the cheapest way that the connection allows.
func (q *exchange) transfer(h blob.Handle, part span, size int64) (int64, error) {
	q.s.count.sending.Add(1)
	defer q.s.count.sending.Add(-1)
	switch {
	case q.conn != nil && q.conn.IsTCP():
		return h.SendTo(&q.out, part.off, part.n)
	case part.n == size:
		return h.WriteTo(&q.out.body)
	}
	piece := q.s.pieces.Get()
	defer q.s.pieces.Put(piece)
	return io.CopyBuffer(&q.out.body, onlyReader{io.NewSectionReader(h, part.off, part.n)}, piece)
}

// onlyReader hides WriteTo, which would not use the piece.
type onlyReader struct{ io.Reader }

// lost ends an exchange whose client did not take the answer.
func (q *exchange) lost(err error) {
	q.s.count.failure(err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		q.s.count.slowReaders.Add(1)
	}
	if errors.Is(err, syscall.EFAULT) {
		q.s.faults.Report(q.t.hash, fmt.Errorf("%w: %w", errUnread, err))
	}
	panic(http.ErrAbortHandler)
}

// body is where the bytes of the answer go. The first of them bring the header along, so until there are some the
// answer can still become another one.
type body struct {
	q      *exchange
	status int
	failed error // of the connection
}

// Write starts the answer if need be, and passes p on.
func (b *body) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !b.q.started {
		b.begin()
	}
	n, err := b.q.w.Write(p)
	if err != nil {
		b.failed = err
	}
	return n, err
}

// WritePrompt implements blob.PromptWriter, where the connection does.
func (b *body) WritePrompt(p []byte) (int, error) {
	w, ok := b.q.w.(blob.PromptWriter)
	if !ok || len(p) == 0 {
		return b.Write(p)
	}
	if !b.q.started {
		b.begin()
	}
	n, err := w.WritePrompt(p)
	if err != nil {
		b.failed = err
	}
	return n, err
}

// Flush implements blob.Flusher: net/http joins small writes with later ones, and the later ones may be long in coming.
func (b *body) Flush() {
	if f, ok := b.q.w.(http.Flusher); ok && b.q.started {
		f.Flush()
	}
}

// begin commits the header. On plain TCP it also empties net/http's buffers: what follows them goes to the connection
// as it is when it is larger than they are, and mapped memory always is. The connection holds the header for it.
func (b *body) begin() {
	b.q.start(b.status)
	if c := b.q.conn; c != nil && c.IsTCP() {
		if f, ok := b.q.w.(http.Flusher); ok {
			c.Hold()
			f.Flush()
		}
	}
}

// sink is a body on plain TCP.
type sink struct{ body }

// KernelSink marks it as one.
func (*sink) KernelSink() {}

var (
	_ blob.Sink    = (*sink)(nil)
	_ blob.Flusher = (*body)(nil)

	_ blob.PromptWriter = (*body)(nil)
)
