package caching

import (
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// The bounds of a negative: in all 65,536 blobs, about 12 MiB when it is full.
const (
	negativeShards = 16
	negativeEach   = 4096
)

// negative remembers for a short time what the origin did not have. A look-up allocates nothing. When a shard is full
// the oldest entry leaves. A nil *negative remembers nothing.
//
// An answer of the origin may be older than a Put that came while it travelled; so whoever asks the origin takes a
// mark first, and add does nothing when the shard was cleared since.
type negative struct {
	ttl    time.Duration
	epoch  time.Time // deadlines count from here, on the monotonic clock
	shards [negativeShards]negativeShard
}

type negativeShard struct {
	mu     sync.Mutex
	until  map[blob.Hash]time.Duration // deadline, since epoch
	ring   []negativeEntry             // in the order of their deadlines, from head on; may hold more than until
	head   int
	clears uint64
}

type negativeEntry struct {
	hash  blob.Hash
	until time.Duration
}

func newNegative(ttl time.Duration) *negative {
	n := &negative{ttl: ttl, epoch: time.Now()}
	for i := range n.shards {
		n.shards[i].until = map[blob.Hash]time.Duration{}
	}
	return n
}

func (n *negative) shard(h blob.Hash) *negativeShard { return &n.shards[h[0]%negativeShards] }

// has says whether the origin did not have h a moment ago.
func (n *negative) has(h blob.Hash) bool {
	if n == nil {
		return false
	}
	s := n.shard(h)
	s.mu.Lock()
	until, ok := s.until[h]
	s.mu.Unlock()
	return ok && time.Since(n.epoch) < until
}

// mark is the state of things before the origin is asked, for add.
func (n *negative) mark(h blob.Hash) uint64 {
	if n == nil {
		return 0
	}
	s := n.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clears
}

// add remembers that the origin, asked after mark, did not have h.
func (n *negative) add(h blob.Hash, mark uint64) {
	if n == nil {
		return
	}
	now := time.Since(n.epoch)
	s := n.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clears != mark {
		return
	}
	s.dropLocked(now)
	s.until[h] = now + n.ttl
	s.ring = append(s.ring, negativeEntry{h, now + n.ttl})
}

// dropLocked forgets what is past its time, and the oldest entry if there is no room for one more.
func (s *negativeShard) dropLocked(now time.Duration) {
	for s.head < len(s.ring) {
		oldest := s.ring[s.head]
		if oldest.until > now && len(s.ring)-s.head < negativeEach {
			break
		}
		s.head++
		if s.until[oldest.hash] == oldest.until { // else it was cleared, or remembered anew
			delete(s.until, oldest.hash)
		}
	}
	if s.head == len(s.ring) || s.head >= negativeEach {
		s.ring = s.ring[:copy(s.ring, s.ring[s.head:])]
		s.head = 0
	}
}

// clear forgets h, because it was put.
func (n *negative) clear(h blob.Hash) {
	if n == nil {
		return
	}
	s := n.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clears++
	delete(s.until, h)
}
