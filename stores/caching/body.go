package caching

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
)

// holdBack is how many bytes at the end of what a reader asks for stay here until the blob is proven: a reader that was
// given less than it was promised knows it.
const holdBack = blob.MinSinkWrite

// sendPiece bounds one write from a fill's buffer, so that a slow reader soon moves on to what the cache holds.
const sendPiece = 512 << 10

// body is the bytes of a fill: first those that have come, in the fill's buffer, and in the end a handle of the cache,
// or the buffer for good where the cache did not take the blob. Any number of readers follow it while it grows.
//
// It is counted: the fill, or those who wait for it, hold one reference together, and each handle has one.
type body struct {
	store *Store
	size  int64 // known before the first reader is let in

	mu       sync.Mutex
	changed  sync.Cond   // of everything below
	buf      []byte      // nil once it was given back
	have     int64       // bytes that came
	proven   bool        // all came, and their hash is right
	failed   error       // what ended the fill instead
	cached   blob.Handle // of the blob in the cache, when it has it
	writes   int         // that read from buf now
	refs     int
	reserved bool // a place in Store.passing is kept for buf
	passing  bool // buf has moved there
}

// newBody takes over a buffer of s.bufs and gives the first reference.
func (s *Store) newBody(buf []byte) *body {
	b := &body{store: s, buf: buf, refs: 1}
	b.changed.L = &b.mu
	s.counters.buffers.Add(1)
	return b
}

// grow notes that n bytes have come in all. Readers are woken each time: nobody knows how long the next bytes take.
func (b *body) grow(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.have = int64(n)
	b.changed.Broadcast()
}

// prove lets the last bytes go.
func (b *body) prove() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.have, b.proven = b.size, true
	b.changed.Broadcast()
}

// fail ends a body whose bytes must not be read any further.
func (b *body) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = err
	b.unreserveLocked()
	b.changed.Broadcast()
}

// settle moves the readers to the cache and takes h over. The buffer goes once no write reads from it.
func (b *body) settle(h blob.Handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cached = h
	b.unreserveLocked()
	b.freeLocked()
	b.changed.Broadcast()
}

// reserve keeps a place among what passes through, in case that the cache will not take the blob.
func (b *body) reserve() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved = b.reserved || b.store.passing.Reserve()
	return b.reserved
}

func (b *body) unreserveLocked() {
	if b.reserved {
		b.reserved = false
		b.store.passing.Yield()
	}
}

// pass leaves the buffer to the readers, and its place among the fills to others. It says false when slow readers hold
// all that may pass through.
func (b *body) pass() bool {
	if !b.reserve() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved, b.passing = false, true
	b.store.bufs.Yield()
	return true
}

// freeLocked gives the buffer back once nothing reads from it any more.
func (b *body) freeLocked() {
	if b.buf == nil || b.writes > 0 || b.cached == nil && b.refs > 0 {
		return
	}
	home := b.store.bufs
	if b.passing {
		home = b.store.passing
	}
	home.Put(b.buf)
	b.buf = nil
	b.store.counters.buffers.Add(-1)
}

// Release gives a reference back.
func (b *body) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refs--
	if b.refs > 0 {
		return
	}
	b.unreserveLocked()
	b.freeLocked()
	if b.cached != nil {
		b.cached.Release()
	}
}

// Handle gives a handle with a reference of its own.
func (b *body) Handle() blob.Handle {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refs++
	b.store.pinned.Add(1)
	return &reader{body: b}
}

// part is what a reader may take next: bytes of the buffer, which it gives back with done, or the cache's handle.
type part struct {
	bytes  []byte
	cached blob.Handle
}

// next waits for bytes from pos on, of which the reader wants those before end; all demands the proof first. Before it
// waits it calls idle, if there is one.
func (b *body) next(pos, end int64, all bool, idle func()) (part, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		limit := min(end, b.size)
		if !b.proven {
			limit = min(b.have, end-holdBack)
		}
		switch {
		case b.cached != nil:
			return part{cached: b.cached}, nil
		case b.failed != nil:
			return part{}, b.failed
		case pos < limit && (b.proven || !all):
			b.writes++
			return part{bytes: b.buf[pos:min(limit, pos+sendPiece)]}, nil
		case idle != nil:
			b.mu.Unlock()
			idle()
			b.mu.Lock()
			idle = nil
		default:
			b.changed.Wait()
		}
	}
}

// done ends the use of bytes that next gave.
func (b *body) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes--
	b.freeLocked()
}

// reader is one handle of a body.
type reader struct {
	body     *body
	released atomic.Bool
}

// Size implements blob.Handle.
func (r *reader) Size() int64 { return r.body.size }

// SendTo implements blob.Handle: what has come leaves at once, the end once the blob is proven.
func (r *reader) SendTo(s blob.Sink, off, n int64) (int64, error) {
	if off < 0 || n < 0 || n > r.body.size-off {
		return 0, fmt.Errorf("caching: send %d+%d of a blob of %d bytes", off, n, r.body.size)
	}
	return r.follow(s, off, n, func(h blob.Handle, off, n int64) (int64, error) { return h.SendTo(s, off, n) })
}

// WriteTo implements blob.Handle.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	return r.follow(w, 0, r.body.size, func(h blob.Handle, off, n int64) (int64, error) {
		if off == 0 {
			return h.WriteTo(w)
		}
		piece := r.body.store.pieces.Get()
		defer r.body.store.pieces.Put(piece)
		return io.CopyBuffer(onlyWriter{w}, onlyReader{io.NewSectionReader(h, off, n)}, piece)
	})
}

// onlyReader and onlyWriter hide what would have io.CopyBuffer pass by its buffer.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// follow writes n bytes from off to w as they come, and leaves what remains to rest once the cache has the blob.
func (r *reader) follow(w io.Writer, off, n int64, rest func(blob.Handle, int64, int64) (int64, error)) (int64, error) {
	var flush func()
	if f, ok := w.(blob.Flusher); ok {
		flush = f.Flush
	}
	var idle func()
	pos, end := off, off+n
	for pos < end {
		p, err := r.body.next(pos, end, false, idle)
		if err != nil {
			return pos - off, err
		}
		if p.cached != nil {
			m, err := rest(p.cached, pos, end-pos)
			return pos - off + m, err
		}
		m, err := w.Write(p.bytes)
		r.body.done()
		pos += int64(m)
		if err != nil {
			return pos - off, err
		}
		idle = flush
	}
	return n, nil
}

// ReadAt implements blob.Handle. It waits for the whole blob.
func (r *reader) ReadAt(dst []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, errors.New("caching: read at a negative offset")
	case off >= r.body.size:
		return 0, io.EOF
	}
	done := 0
	for done < len(dst) && off < r.body.size {
		p, err := r.body.next(off, r.body.size, true, nil)
		if err != nil {
			return done, err
		}
		if p.cached != nil {
			n, err := p.cached.ReadAt(dst[done:], off)
			return done + n, err
		}
		n := copy(dst[done:], p.bytes)
		r.body.done()
		done, off = done+n, off+int64(n)
	}
	if done < len(dst) {
		return done, io.EOF
	}
	return done, nil
}

// Release implements blob.Handle.
func (r *reader) Release() {
	if r.released.Swap(true) {
		panic("caching: handle released twice")
	}
	r.body.store.pinned.Add(-1)
	r.body.Release()
}

var _ blob.Handle = (*reader)(nil)
