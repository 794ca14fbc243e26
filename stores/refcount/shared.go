package refcount

import (
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
)

// Shared is one handle of a store that several readers use at once.
type Shared struct {
	count
	inner blob.Handle
}

// NewShared takes over inner, and releases it after the last reference.
func NewShared(inner blob.Handle) *Shared {
	s := &Shared{inner: inner}
	s.free = inner.Release
	s.refs.Store(1)
	return s
}

// Release gives a reference back.
func (s *Shared) Release() { s.release() }

// Handle gives a handle with a reference of its own.
func (s *Shared) Handle() blob.Handle {
	s.retain()
	return &sharedHandle{Handle: s.inner, shared: s}
}

// sharedHandle is one reader: everything but Release goes to the handle that is shared.
type sharedHandle struct {
	blob.Handle
	shared   *Shared
	released atomic.Bool
}

func (h *sharedHandle) Release() {
	if h.released.Swap(true) {
		panic("refcount: handle released twice")
	}
	h.shared.release()
}
