package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// discard hands the extent of a dead record without readers to the reclaimer. It runs on whatever goroutine released
// the last pin, so it must stay short.
func (e *Engine) discard(s *seg, loc segments.Location) {
	n := segments.Blocks(loc.Length)
	s.mu.Lock()
	s.dead = append(s.dead, loc)
	s.stray += n
	s.mu.Unlock()
	e.pending.Add(n)
	e.reconsider(s)
}

// reconsider has the reclaimer look at a segment: it may be empty, or have dead extents.
func (e *Engine) reconsider(s *seg) {
	e.deadMu.Lock()
	e.deadSegs[s.ID()] = s
	e.deadMu.Unlock()
	poke(e.reclaimNow)
}

// reclaimLoop gives dead extents back, off the hot path.
func (e *Engine) reclaimLoop() {
	for {
		select {
		case <-e.stopping:
			return
		case <-e.reclaimNow:
		}
		e.reclaim()
	}
}

// reclaim unlinks the segments that hold nothing any more, and punches the rest's dead extents, neighbours joined.
func (e *Engine) reclaim() {
	e.deadMu.Lock()
	todo := e.deadSegs
	e.deadSegs = map[segments.ID]*seg{}
	e.deadMu.Unlock()
	for _, s := range todo {
		if e.empty(s) {
			e.unlink(s)
			continue
		}
		e.punchDead(s)
	}
	if len(todo) > 0 {
		poke(e.rollNow)
		poke(e.evictNow)
	}
}

// empty says whether nothing in the segment is live, pinned or about to be written.
func (e *Engine) empty(s *seg) bool {
	row := e.rowOf(s)
	s.mu.Lock()
	sealing := s.sealing
	s.mu.Unlock()
	return row.State != index.StateActive && !sealing && row.LiveBlobs == 0 && s.Pins() == 0 && !e.recoveringSeg(s)
}

// punchDead punches what the segment has queued.
func (e *Engine) punchDead(s *seg) {
	s.mu.Lock()
	dead, bytes := s.dead, s.stray
	s.dead, s.stray = nil, 0
	s.mu.Unlock()
	defer e.pending.Add(-bytes)
	s.loose.Store(true)
	for _, x := range join(dead) {
		if err := e.punch(s, x); err != nil {
			s.owes.Store(true)
			e.ioError("punch", err) // it stays charged until the segment goes
			continue
		}
		e.stats.punched.Add(1)
	}
}

// punch gives one range back, in steps.
func (e *Engine) punch(s *seg, x span) error {
	for from := x.from; from < x.to; from += reclaimStep {
		began := time.Now()
		n := min(reclaimStep, x.to-from)
		if err := s.Punch(from, n); err != nil {
			return err
		}
		e.charge(s, -n)
		e.breathe(time.Since(began))
	}
	return nil
}

// reclaimStep is how much is punched at once; longestBreath bounds the pause after it.
const (
	reclaimStep   = 4 << 20
	longestBreath = 10 * time.Millisecond
)

// breathe has the reclaimer pause for as long as it has just worked, unless puts wait for room: what it does keeps
// processors, the journal and the faults of mapped pages from hits.
func (e *Engine) breathe(worked time.Duration) {
	if e.short.Load() > 0 {
		return
	}
	t := time.NewTimer(min(worked, longestBreath))
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.stopping:
	}
}

// unlink removes an empty segment: the row says doomed first, and goes last, so that a power cut in between leaves
// something that the next open finishes.
func (e *Engine) unlink(s *seg) {
	s.mu.Lock()
	again := s.gone
	s.gone = true
	bytes := s.stray
	s.dead, s.stray = nil, 0
	s.mu.Unlock()
	defer e.pending.Add(-bytes)
	if again {
		return // what was buried after the segment was found empty went with it
	}
	doom := func(g *group) { g.setRow(s, func(r *index.SegmentRow) { r.State = index.StateDoomed }) }
	if err := e.commit(&change{apply: doom}); err != nil {
		return
	}
	if err := s.Unlink(); err != nil {
		e.ioError("unlink", err)
		e.log.Error("an empty segment cannot be removed; it stays charged until the next start", "path", s.Path(), "err", err)
		return
	}
	e.segs.remove(s.ID())
	if err := s.Discard(e.breathe); err != nil {
		e.ioError("close", err)
	}
	e.setCharge(s, 0)
	e.stats.unlinked.Add(1)
	_ = e.commit(&change{apply: func(g *group) {
		delete(g.rows, s.ID())
		g.batch.DeleteSegment(s.ID())
	}})
}

// span is a range of a file.
type span struct{ from, to int64 }

// cover collects extents, in any order, as few ranges. Those of a segment come in order, mostly, so it stays short.
type cover struct{ got []span }

func (c *cover) add(l segments.Location) {
	end := l.Offset + segments.Blocks(l.Length)
	if n := len(c.got); n > 0 && c.got[n-1].to == l.Offset {
		c.got[n-1].to = end
		return
	}
	c.got = append(c.got, span{l.Offset, end})
}

// spans gives the ranges in order, neighbours joined.
func (c *cover) spans() []span {
	slices.SortFunc(c.got, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []span
	for _, x := range c.got {
		if n := len(out); n > 0 && out[n-1].to == x.from {
			out[n-1].to = x.to
			continue
		}
		out = append(out, x)
	}
	return out
}

// join turns extents into as few ranges as possible.
func join(locs []segments.Location) []span {
	var c cover
	for _, l := range locs {
		c.add(l)
	}
	return c.spans()
}
