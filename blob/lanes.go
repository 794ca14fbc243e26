package blob

import (
	"fmt"

	"github.com/OdyseeTeam/prism/internal/sha384"
)

// Lanes is where blobs that arrive at the same time are hashed side by side, for a fraction of what each costs by itself,
// on processors that can. Whoever takes in many blobs at once has one, and makes its Hashers with it. They do not wait for
// each other's bytes; a call that hashes may do it for others, too, or have it done by them. There is nothing to close.
//
// A nil *Lanes works: each blob is hashed by itself.
type Lanes struct{ lanes *sha384.Lanes }

// NewLanes makes lanes for one owner. Those of different owners do not meet.
func NewLanes() *Lanes { return &Lanes{sha384.NewLanes()} }

// NewHasher is NewHasher on these lanes.
func (l *Lanes) NewHasher(buf []byte) *Hasher {
	var lanes *sha384.Lanes
	if l != nil {
		lanes = l.lanes
	}
	return &Hasher{buf: buf[len(buf):], sum: sha384.New(lanes)}
}

// Verify is Verify on these lanes.
func (l *Lanes) Verify(name Hash, data []byte) (Verified, error) {
	if len(data) > MaxSize {
		return Verified{}, ErrTooBig
	}
	h := l.NewHasher(data[:0:len(data)])
	for p := data; len(p) > 0; {
		n := min(len(p), verifyChunk)
		if err := h.advance(p[:n]); err != nil {
			return Verified{}, err
		}
		p = p[n:]
	}
	return h.Verified(name)
}

// Collect is the Stream's Collect on these lanes.
func (l *Lanes) Collect(s *Stream, buf []byte, progress func(n int)) (Verified, error) {
	if int64(cap(buf)) < s.size {
		return Verified{}, fmt.Errorf("blob: collect %d bytes into a buffer of %d", s.size, cap(buf))
	}
	return s.collect(l.NewHasher(buf[:0:s.size]), progress)
}
