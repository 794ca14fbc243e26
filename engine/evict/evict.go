// Package evict holds eviction policies: pure decisions over what a cursor shows them, oldest record first, and the bit
// that says whether a record was read since it was last judged. A policy does no I/O, holds no hashes, has no clock,
// and is used by one goroutine at a time.
package evict

import (
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
)

// Candidate is the record that the cursor stands on.
type Candidate struct {
	Size    int64 // bytes charged for it
	Kind    blob.Kind
	Touched bool // read since it was written, or since it was last kept
}

// Space is what the policy may weigh a candidate against.
type Space struct {
	Limit int64 // bytes that the mount may use
	SD    int64 // bytes charged for SD blobs now
}

// Verdict is what becomes of a candidate.
type Verdict uint8

// Verdicts. Kept records move to the young end of the order, and their bit is cleared.
const (
	Evict Verdict = iota
	Keep
)

// Policy judges candidates.
type Policy interface {
	// Name is what configuration calls it.
	Name() string
	// Judge says what becomes of c.
	Judge(c Candidate, s Space) Verdict
}

// sdShare is the share of the limit below which SD blobs are evicted last: they are small, and each gates a stream.
const sdShare = 0.05

// LRU evicts what was not read since it was last looked at. It moves a record at most once per turnover of the cache,
// so hits need not be written down as they happen.
type LRU struct{}

// Name is "lru".
func (LRU) Name() string { return "lru" }

// Judge keeps touched records, and SD blobs while they are few.
func (LRU) Judge(c Candidate, s Space) Verdict {
	if c.Touched || c.Kind == blob.KindSD && float64(s.SD) <= sdShare*float64(s.Limit) {
		return Keep
	}
	return Evict
}

// New makes the policy of that name; the empty name is the default, lru.
func New(name string) (Policy, error) {
	switch name {
	case "", "lru":
		return LRU{}, nil
	}
	return nil, fmt.Errorf("evict: there is no eviction policy %q: use lru", name)
}
