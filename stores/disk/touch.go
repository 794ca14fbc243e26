package disk

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
)

// touches remembers which blobs were read since the evictor looked at them: one bit for each of many slots, which a
// hash names. Two blobs may share one; then both count as read. At eight slots a blob that is rare.
type touches struct {
	words atomic.Pointer[[]atomic.Uint64]
}

// minTouchWords is the size of the smallest table, in words of 64 slots: 128 KiB.
const minTouchWords = 1 << 14

// grow makes the table fit for n blobs. The bits stay; some that are set at the same time may be lost.
func (t *touches) grow(n int64) {
	var old []atomic.Uint64
	if p := t.words.Load(); p != nil {
		old = *p
	}
	size := max(len(old), minTouchWords)
	for int64(size)*8 < n {
		size *= 2
	}
	if size == len(old) {
		return
	}
	words := make([]atomic.Uint64, size)
	for i := range words {
		if len(old) > 0 {
			words[i].Store(old[i%len(old)].Load())
		}
	}
	t.words.Store(&words)
}

// slot is the word and the bit of a blob.
func (t *touches) slot(h blob.Hash) (*atomic.Uint64, uint64) {
	words := *t.words.Load()
	n := binary.LittleEndian.Uint64(h[8:])
	return &words[n>>6&uint64(len(words)-1)], 1 << (n & 63)
}

func (t *touches) set(h blob.Hash) {
	if w, bit := t.slot(h); w.Load()&bit == 0 {
		w.Or(bit)
	}
}

func (t *touches) clear(h blob.Hash) {
	w, bit := t.slot(h)
	w.And(^bit)
}

func (t *touches) has(h blob.Hash) bool {
	w, bit := t.slot(h)
	return w.Load()&bit != 0
}
