package engine

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// active is the set of segments that take puts.
type active struct {
	mu     sync.Mutex
	segs   []*seg        // oldest first
	refuse error         // why puts are turned away now: full, or the disk fails
	ready  chan struct{} // closed when segs or refuse changes
}

func (a *active) changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ready
}

func (a *active) notifyLocked() {
	close(a.ready)
	a.ready = make(chan struct{})
}

func (a *active) refusal() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.segs) > 0 {
		return nil
	}
	return a.refuse
}

// setRefusal says why puts are turned away, or with nil that they are not.
func (a *active) setRefusal(err error) {
	a.mu.Lock()
	a.refuse = err
	a.notifyLocked()
	a.mu.Unlock()
}

func (a *active) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.segs)
}

func (a *active) add(s *seg) {
	a.mu.Lock()
	a.segs = append(a.segs, s)
	a.refuse = nil
	a.notifyLocked()
	a.mu.Unlock()
}

// drop takes a segment out, if it is in.
func (a *active) drop(s *seg) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, t := range a.segs {
		if t == s {
			a.segs = append(a.segs[:i:i], a.segs[i+1:]...)
			return true
		}
	}
	return false
}

// reserve takes the segment with the fewest writers, since a file takes one at a time, and of those the oldest, so that
// not all are full at once. One that has no room for this blob is sealed: its tail is given back, so nothing is wasted,
// and nobody has to remember what would still fit. The caller ends its writing with seg.writers.
func (a *active) reserve(e *Engine, n uint32) (*seg, segments.Location, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.segs) > 0 {
		k := a.idlestLocked()
		s := a.segs[k]
		if loc, ok := s.Reserve(n); ok {
			s.writers.Add(1)
			return s, loc, true
		}
		a.segs = append(a.segs[:k:k], a.segs[k+1:]...)
		e.sealInMemory(s)
		poke(e.rollNow)
	}
	return nil, segments.Location{}, false
}

func (a *active) idlestLocked() int {
	best := 0
	for k, s := range a.segs {
		if s.writers.Load() < a.segs[best].writers.Load() {
			best = k
		}
	}
	return best
}

// sealInMemory ends the writing to a segment; the flusher does the rest.
func (e *Engine) sealInMemory(s *seg) {
	s.Seal()
	s.mu.Lock()
	if !s.sealed { // a segment can fail twice, and its tail is given back once
		s.sealed, s.sealing = true, true
	}
	s.mu.Unlock()
	poke(e.flushNow)
}

// The pauses after a segment could not be created.
const (
	rollPauseMin = time.Second
	rollPauseMax = 30 * time.Second
)

// rollLoop keeps the wanted number of segments active.
func (e *Engine) rollLoop() {
	pause := rollPauseMin
	for {
		for e.act.count() < e.o.ActiveSegments {
			made, err := e.roll()
			if err != nil {
				e.act.setRefusal(refusalFor(err))
				e.log.Error("no segment can be created; blobs pass through", "dir", e.o.Dir, "err", err, "again_in", pause)
				if !e.sleep(pause) {
					return
				}
				pause = min(2*pause, rollPauseMax)
				continue
			}
			if !made {
				break
			}
			pause = rollPauseMin
		}
		select {
		case <-e.stopping:
			return
		case <-e.rollNow:
		}
	}
}

func refusalFor(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", blob.ErrUnavailable, err)
}

// roll creates one segment if the cap has room for it, and wakes the evictor either way.
func (e *Engine) roll() (bool, error) {
	if err := e.ix.Err(); err != nil {
		return false, err
	}
	e.measure()
	need := activeCharge(e.o.SegmentSize)
	defer poke(e.evictNow)
	if e.used()+need > e.limit.Load() {
		if e.recovering() { // nothing is evicted yet: puts need not wait for it
			e.act.setRefusal(blob.ErrFull)
		}
		return false, nil
	}
	id, err := e.nextSegmentID()
	if err != nil {
		return false, err
	}
	h := segments.Header{
		Mount: e.mnt.Superblock().ID, ID: id, Capacity: e.o.SegmentSize, Created: uint64(time.Now().Unix()),
	}
	e.charged.Add(need) // before the file, so that the cap is never passed
	file, err := segments.Create(e.o.FS, e.mnt.SegmentPath(id), h)
	if err != nil {
		e.charged.Add(-need)
		e.ioError("create", err)
		return false, err
	}
	s := e.newSeg(file, index.SegmentRow{ID: id, State: index.StateActive, Capacity: h.Capacity})
	s.written = true
	s.charged.Store(need)
	e.segs.add(s)
	if err := e.commit(&change{apply: func(g *group) { g.setRow(s, func(*index.SegmentRow) {}) }}); err != nil {
		return false, err
	}
	e.act.add(s)
	return true, nil
}

// nextSegmentID gives an id that was never used. Ids are claimed in the superblock by the thousand, so they stay unique
// even if the index and the youngest segments are lost.
func (e *Engine) nextSegmentID() (segments.ID, error) {
	if e.nextID >= e.ceiling {
		if err := e.claimIDs(); err != nil {
			return 0, err
		}
	}
	id := e.nextID
	e.nextID++
	return segments.ID(id), nil
}

// idsPerClaim is also what a sequence's upper part counts: see claimIDs.
const idsPerClaim = 4096

// seqBits is how many puts and restamps fit under one claim.
const seqBits = 40

// claimIDs raises the superblock's ceiling. Sequences start at the claim's number, shifted: they too grow from one
// opening to the next without a counter on disk.
func (e *Engine) claimIDs() error {
	err := e.mnt.Update(func(s *mount.Superblock) {
		start := (s.IDCeiling + idsPerClaim - 1) / idsPerClaim * idsPerClaim
		e.nextID = max(start, 1)
		e.ceiling = start + idsPerClaim
		s.IDCeiling = e.ceiling
	})
	if err != nil {
		return err
	}
	for {
		now, least := e.seq.Load(), e.ceiling/idsPerClaim<<seqBits
		if now >= least || e.seq.CompareAndSwap(now, least) {
			return nil
		}
	}
}
