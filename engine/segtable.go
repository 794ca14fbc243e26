package engine

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// seg is a segment with what the engine keeps about it.
type seg struct {
	*segments.Segment

	charged atomic.Int64  // bytes of the mount's space that it accounts for
	trust   atomic.Uint32 // slots below it may be served: MaxUint32 but after a failed sync
	syncs   groupSync
	writers atomic.Int32 // puts that have reserved room and have not written it yet

	// row is what the index says, or will say with the next commit. It is written by the committer alone and read by
	// others under committer.rows.
	row index.SegmentRow

	loose   atomic.Bool // marked, punched or cut in this process: Close syncs it before it calls the mount clean
	owes    atomic.Bool // blocks or marks that this run could not give back or set, or must not: the next start does
	written bool        // created by this process: its writer's state is known

	mu      sync.Mutex
	durable map[uint32]struct{} // slots at or above the watermark that are known to have reached the device
	bad     map[uint32]bool     // slots that are condemned; true: the device cannot read them
	dead    []segments.Location // removed and unpinned: the reclaimer's input
	stray   int64               // bytes in dead
	sealed  bool                // sealed in memory, by sealInMemory alone
	sealing bool                // and the flusher has yet to give its tail back
	gone    bool                // unlinked, or about to be
}

func (e *Engine) newSeg(s *segments.Segment, row index.SegmentRow) *seg {
	s.Share(e.files)
	g := &seg{Segment: s, row: row}
	g.trust.Store(math.MaxUint32)
	return g
}

// trusted says whether a slot may be served as it is: after a failed sync, only what an earlier one had covered, and what
// was found on the device since.
func (s *seg) trusted(slot uint32) bool {
	return slot < s.trust.Load() || s.isDurable(slot)
}

// sound says whether a slot is trusted and nothing was found wrong with its record.
func (s *seg) sound(slot uint32) bool {
	s.mu.Lock()
	_, bad := s.bad[slot]
	s.mu.Unlock()
	return !bad && s.trusted(slot)
}

func (s *seg) setBad(slot uint32, device bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil {
		s.bad = map[uint32]bool{}
	}
	s.bad[slot] = s.bad[slot] || device
}

// broken says whether the device could not read a slot's record.
func (s *seg) broken(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad[slot]
}

func (s *seg) isDurable(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.durable[slot]
	return ok
}

// setDurable notes that a sync which began after the slot was written went well, or that the device was seen to hold it.
func (s *seg) setDurable(slot uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable == nil {
		s.durable = map[uint32]struct{}{}
	}
	s.durable[slot] = struct{}{}
}

// marked forgets what the watermark now says of the slots below it.
func (s *seg) marked(below uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot := range s.durable {
		if slot < below {
			delete(s.durable, slot)
		}
	}
}

// isGone says whether the file is removed, or about to be: what cannot be written to it then need not be.
func (s *seg) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// segTable finds segments by id.
type segTable struct {
	mu sync.RWMutex
	m  map[segments.ID]*seg
}

func (t *segTable) get(id segments.ID) *seg {
	t.mu.RLock()
	s := t.m[id]
	t.mu.RUnlock()
	return s
}

func (t *segTable) add(s *seg) {
	t.mu.Lock()
	t.m[s.ID()] = s
	t.mu.Unlock()
}

func (t *segTable) remove(id segments.ID) {
	t.mu.Lock()
	delete(t.m, id)
	t.mu.Unlock()
}

// all is a copy of the table's segments, in no order.
func (t *segTable) all() []*seg {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*seg, 0, len(t.m))
	for _, s := range t.m {
		out = append(out, s)
	}
	return out
}

// groupSync lets many writers share one sync: each waits for one that began after it had written. After a failed sync
// there is never another: the kernel reports a lost write once, and a second sync would succeed without the bytes.
type groupSync struct {
	syncing sync.Mutex // held during a sync
	failed  error      // of the sync that failed; under syncing
	mu      sync.Mutex
	next    *syncRound // the one that has not begun
}

type syncRound struct {
	done chan struct{}
	err  error
}

// run returns the result of a call of sync that began after run was called.
func (g *groupSync) run(sync func() error) error {
	g.mu.Lock()
	r := g.next
	lead := r == nil
	if lead {
		r = &syncRound{done: make(chan struct{})}
		g.next = r
	}
	g.mu.Unlock()
	if !lead {
		<-r.done
		return r.err
	}
	g.syncing.Lock()
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	if g.failed == nil {
		g.failed = sync()
	}
	r.err = g.failed
	g.syncing.Unlock()
	close(r.done)
	return r.err
}
