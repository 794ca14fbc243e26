package engine

import (
	"cmp"
	"context"
	"time"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// flushLoop syncs segments and moves their watermarks: every interval, and at once when a segment waits to be sealed.
func (e *Engine) flushLoop() {
	tick := time.NewTicker(e.o.SyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-e.stopping:
			return
		case <-tick.C:
			if e.o.Sync != SyncNever {
				_ = e.flush() // the segments that failed were dealt with, and counted
			}
			e.settleOpen()
		case <-e.flushNow:
		}
		e.finishSealing()
	}
}

// settleOpen syncs segments that were only marked, punched or cut since their last sync, while many are open: until then
// their files cannot be closed in favour of others.
func (e *Engine) settleOpen() {
	if e.files.Open() <= e.o.OpenSegments/2 {
		return
	}
	for _, s := range e.segs.all() {
		row := e.rowOf(s)
		if s.Settled() || row.State != index.StateSealed || row.Watermark < row.Slots || e.recoveringSeg(s) {
			continue
		}
		if err := s.syncs.run(s.Sync); err != nil && !s.isGone() {
			e.writeFailed(s, "sync", err)
		}
	}
}

// Flush makes every Put that was acknowledged before the call durable, whatever the policy. It does not wait for the
// seals that are under way. When ctx ends first, the flush goes on behind. An error says that some of it was lost, now or
// since the last Flush.
func (e *Engine) Flush(ctx context.Context) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	_, err := e.within(ctx, func() error {
		e.writers.RLock()
		defer e.writers.RUnlock()
		if e.closed.Load() {
			return errClosed
		}
		return e.flush()
	})
	if ctx.Err() != nil {
		return err // whoever waits for the next one is told of the loss
	}
	return cmp.Or(e.takeLoss(), err)
}

// mark is a watermark that may be set once its segment is synced.
type mark struct {
	seg  *seg
	upTo uint32
}

// flush notes which slots are completed, syncs their segments, and stores the marks durably. It writes nothing when
// nothing changed.
func (e *Engine) flush() error {
	e.flushing.Lock()
	defer e.flushing.Unlock()
	marks, since, err := e.collectMarks()
	if err != nil || len(marks) == 0 {
		return err
	}
	var failed error
	synced := marks[:0]
	for _, m := range marks {
		if err := m.seg.syncs.run(m.seg.Sync); err != nil {
			if m.seg.isGone() { // it was found empty meanwhile
				continue
			}
			e.writeFailed(m.seg, "sync", err)
			failed = err
			continue
		}
		synced = append(synced, m)
	}
	if len(synced) == 0 {
		return failed
	}
	err = e.commit(&change{sync: true, apply: func(g *group) {
		for _, m := range synced {
			if m.upTo > m.seg.row.Watermark && !m.seg.isGone() {
				g.setRow(m.seg, func(r *index.SegmentRow) { r.Watermark = m.upTo })
				g.batch.ClearTombstones(m.seg.ID(), m.upTo)
			}
		}
		// With a segment whose sync failed, here or elsewhere meanwhile, the next open proves its rows above the mark.
		if failed == nil && !e.anyFailed() {
			e.marked = since
		}
		g.batch.SetMeta(index.Meta{NextSeq: e.marked})
	}})
	if err != nil {
		return err
	}
	for _, m := range synced {
		m.seg.marked(m.upTo)
	}
	return failed
}

// collectMarks runs on the committer, between groups, so that it sees no put half done: each completed slot is in the
// index, and whatever is committed to a slot at or above a mark has a sequence above `since`. Recovery relies on both.
// A slow put may leave completed slots above a mark, and a failed segment keeps its mark; then `since` stays where it was.
func (e *Engine) collectMarks() ([]mark, uint64, error) {
	var marks []mark
	var since uint64
	err := e.commit(&change{apply: func(g *group) {
		since = g.first
		if e.unfinished() { // recovery still needs what it was
			since = e.marked
		}
		for _, s := range e.writable() {
			if s.Gaps() || s.row.State == index.StateFailed {
				since = e.marked
			}
			// Slots above a gap are acknowledged too: their segment is synced, though its mark stays.
			if p := s.Prefix(); (p > s.row.Watermark || s.Gaps()) && s.row.State != index.StateFailed {
				marks = append(marks, mark{s, p})
			}
		}
	}})
	if err != nil {
		return nil, 0, err // the committer may still be at it
	}
	return marks, since, nil
}

// writable is the segments whose slots may still change, active or sealed in memory only, and those whose rows may not be
// true.
func (e *Engine) writable() []*seg {
	var out []*seg
	for _, s := range e.segs.all() {
		s.mu.Lock()
		gone := s.gone
		s.mu.Unlock()
		if !gone && (s.row.State == index.StateActive || s.row.State == index.StateFailed || s.row.Watermark < s.row.Slots) {
			out = append(out, s)
		}
	}
	return out
}

// finishSealing seals the segments whose last slot is completed: the tail is given back and the row says so. The
// watermark follows with a flush; under SyncNever with Close.
func (e *Engine) finishSealing() {
	for _, s := range e.segs.all() {
		s.mu.Lock()
		ready := s.sealing
		s.mu.Unlock()
		if ready && s.Prefix() == s.Reserved() {
			e.seal(s)
		}
	}
}

func (e *Engine) seal(s *seg) {
	n, tail := s.Reserved(), s.Tail()
	s.loose.Store(true)
	hdr, err := s.Header()
	if err == nil {
		err = s.GiveBack(tail)
	}
	if err != nil {
		s.owes.Store(true)
		e.ioError("truncate", err) // it stays charged whole
	}
	gaveBack := err == nil
	err = e.commit(&change{apply: func(g *group) {
		g.setRow(s, func(r *index.SegmentRow) {
			r.Slots = n
			if r.State == index.StateActive {
				r.State = index.StateSealed
			}
		})
	}})
	if err != nil {
		return // the index has failed; the next open seals it
	}
	s.mu.Lock()
	s.sealing = false
	s.mu.Unlock()
	if gaveBack {
		unused := hdr.End() - tail
		table := activeCharge(hdr.Capacity) - hdr.Capacity - segments.TableBytes(n)
		e.charge(s, -unused-table)
	}
	if e.o.Sync != SyncNever {
		_ = e.flush()
	}
	e.reconsider(s)
	poke(e.rollNow)
}
