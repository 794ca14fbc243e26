package disk

import (
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/index"
)

// A sequence is a blob's place in the order of eviction, unique in its index:
//
//	bits 63-30   Unix time of the last use that was written down, in seconds
//	bit  29      set when the walk gave it
//	bits 28-1    counter
//	bit  0       set when the file is proven and durable
//
// Time only makes the files that a walk finds and the blobs that are put comparable. Sequences of puts never go back, even
// when the clock does.
const (
	seqProven   = 1
	seqStep     = 2
	seqWalk     = 1 << 29
	seqSeconds  = 30
	walkCounter = 1<<28 - 1
)

// sequence gives out the sequences of puts and of what eviction keeps.
type sequence struct{ last atomic.Uint64 }

// raise makes all further sequences larger than or equal to seq.
func (s *sequence) raise(seq uint64) { s.last.Store(max(s.last.Load(), seq) &^ seqProven) }

// next is a new sequence, not proven.
func (s *sequence) next() uint64 {
	now := uint64(max(0, time.Now().Unix())) << seqSeconds
	for {
		last := s.last.Load()
		next := max(last+seqStep, now)
		if s.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// walkSeq is the sequence of a file that the walk found: as old as its last use. Times that have not come yet count as
// now.
func walkSeq(used time.Time, counter uint32) uint64 {
	seconds := min(max(used.Unix(), 0), time.Now().Unix())
	return uint64(seconds)<<seqSeconds | seqWalk | uint64(counter&walkCounter)<<1
}

// seqAge is how long ago the sequence was given.
func seqAge(seq uint64) time.Duration {
	return max(0, time.Since(time.Unix(int64(seq>>seqSeconds), 0)))
}

func proven(e index.Entry) bool { return e.Seq&seqProven != 0 }
