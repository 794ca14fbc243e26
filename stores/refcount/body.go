// Package refcount shares what handles pin: one body in memory (Body), or one handle of another store (Shared), among
// any number of readers. The last release gives the memory, or the pin, back.
//
// Rules of the count: whoever makes a Body or a Shared holds the first reference and releases it; Handle takes another
// one for the handle that it returns and may be called only by someone who holds a reference.
package refcount

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
)

// count is a number of references with what to do after the last one.
type count struct {
	refs atomic.Int64
	free func()
}

func (c *count) retain() { c.refs.Add(1) }

func (c *count) release() {
	switch n := c.refs.Add(-1); {
	case n == 0:
		if c.free != nil {
			c.free()
		}
	case n < 0:
		panic("refcount: released more often than retained")
	}
}

// Body is the bytes of one blob in ordinary memory.
type Body struct {
	count
	data   []byte
	pinned *atomic.Int64
}

// NewBody shares data, which nobody changes until the last reference is released; then free is called, if there is
// one. pinned, if there is one, counts the handles that are out.
func NewBody(data []byte, pinned *atomic.Int64, free func()) *Body {
	b := &Body{data: data, pinned: pinned}
	b.free = free
	b.refs.Store(1)
	return b
}

// Size is the number of bytes.
func (b *Body) Size() int64 { return int64(len(b.data)) }

// Retain takes one more reference.
func (b *Body) Retain() { b.retain() }

// Release gives a reference back.
func (b *Body) Release() { b.release() }

// Handle gives a handle with a reference of its own.
func (b *Body) Handle() blob.Handle {
	b.retain()
	if b.pinned != nil {
		b.pinned.Add(1)
	}
	return &bodyHandle{body: b}
}

// bodyHandle is one reader of a Body.
type bodyHandle struct {
	body     *Body
	released atomic.Bool
}

func (h *bodyHandle) Size() int64 { return h.body.Size() }

func (h *bodyHandle) SendTo(s blob.Sink, off, n int64) (int64, error) {
	data := h.body.data
	if off < 0 || n < 0 || off > int64(len(data)) || n > int64(len(data))-off {
		return 0, fmt.Errorf("refcount: send %d bytes from %d of a blob of %d", n, off, len(data))
	}
	if n == 0 {
		return 0, nil
	}
	m, err := s.Write(data[off : off+n])
	return int64(m), err
}

func (h *bodyHandle) WriteTo(w io.Writer) (int64, error) {
	m, err := w.Write(h.body.data)
	return int64(m), err
}

func (h *bodyHandle) ReadAt(p []byte, off int64) (int, error) {
	data := h.body.data
	if off < 0 {
		return 0, errors.New("refcount: read at a negative offset")
	}
	if off >= int64(len(data)) {
		return 0, io.EOF
	}
	n := copy(p, data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *bodyHandle) Release() {
	if h.released.Swap(true) {
		panic("refcount: handle released twice")
	}
	if h.body.pinned != nil {
		h.body.pinned.Add(-1)
	}
	h.body.release()
}
