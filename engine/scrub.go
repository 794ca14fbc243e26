package engine

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// ScrubStats is what the reading of all payloads has come to. Counters count from Open.
type ScrubStats struct {
	Period   time.Duration // within which each payload is read once; 0: never
	Began    time.Time     // when this pass began, or is to begin
	Done     float64       // part of this pass that is done, by bytes, 0 to 1
	Passes   int64         // that were ended
	Blobs    int64
	Bytes    int64
	Findings int64 // records that turned out bad, or cannot be read
}

// scrub is the state of the scrubber.
type scrub struct {
	at   mount.ScrubPosition // of the scrubber alone
	owed time.Duration       // of the pauses that were too short to be made one by one
	buf  []byte              // where the device cannot be read past the page cache

	began                          atomic.Int64 // Unix seconds
	left, whole                    atomic.Int64 // bytes of this pass
	passes, blobs, bytes, findings atomic.Int64
}

const (
	// scrubSave is how often the position is written down, at most; an end of a pass and Close write it too. A mount that
	// only serves hits should write next to nothing, and to read a quarter of an hour again is no harm.
	scrubSave = 15 * time.Minute
	// scrubNap is the shortest pause: those of small blobs are joined.
	scrubNap = 20 * time.Millisecond
	// scrubHurry is how much faster than the period asks a scrub that is late may read: the program was not running, or had
	// other things to do.
	scrubHurry = 8
	// scrubYield bounds how long one read waits for a disk that is at work for others.
	scrubYield = time.Second
	// scrubMargin is the part of a period in which a pass is to be done.
	scrubMargin = 0.9
)

// scrubLoop reads every durable payload once a period, past the page cache, and compares it with its CRC. What is bad goes
// the way of what a reader finds bad.
func (e *Engine) scrubLoop() {
	select {
	case <-e.recovered:
	case <-e.stopping:
		return
	}
	at, known := e.mnt.ReadScrub()
	now := time.Now()
	if !known || at.Began.After(now.Add(e.o.ScrubPeriod)) { // the clock went back
		at = mount.ScrubPosition{Began: now}
	}
	e.scrub.at = at
	defer e.saveScrub()
	for {
		e.scrub.began.Store(e.scrub.at.Began.Unix())
		if !e.sleep(max(0, time.Until(e.scrub.at.Began))) || !e.running() {
			return
		}
		if !e.scrubPass() {
			return
		}
		e.scrub.passes.Add(1)
		next := e.scrub.at.Began.Add(e.o.ScrubPeriod)
		if now := time.Now(); next.Before(now) {
			next = now
		}
		e.scrub.at = mount.ScrubPosition{Began: next}
		e.saveScrub()
	}
}

func (e *Engine) saveScrub() {
	if err := e.mnt.WriteScrub(e.scrub.at); err != nil {
		e.ioError("write", err)
	}
}

// scrubPass reads from the position to the end of the mount, and says whether it got there.
func (e *Engine) scrubPass() bool {
	saved := time.Now()
	for {
		s := e.nextScrubbed()
		if s == nil {
			return e.running()
		}
		if s.ID() != e.scrub.at.Segment {
			e.scrub.at.Segment, e.scrub.at.Slot = s.ID(), 0
		}
		if !e.scrubSegment(s, e.scrubWait(s), &saved) {
			return false
		}
		e.scrub.at.Segment, e.scrub.at.Slot = s.ID()+1, 0
	}
}

// nextScrubbed is the segment at or after the position.
func (e *Engine) nextScrubbed() *seg {
	var next *seg
	for _, s := range e.segs.all() {
		if s.ID() >= e.scrub.at.Segment && (next == nil || s.ID() < next.ID()) {
			next = s
		}
	}
	return next
}

// scrubWait is the pause for each byte of a segment, in nanoseconds: what is left of the pass is spread over what is left of
// the period.
func (e *Engine) scrubWait(s *seg) float64 {
	var left, whole int64
	for _, t := range e.segs.all() {
		n := e.rowOf(t).LiveBytes
		whole += n
		if t.ID() >= s.ID() {
			left += n
		}
	}
	e.scrub.left.Store(left)
	e.scrub.whole.Store(whole)
	usual := scrubMargin * float64(e.o.ScrubPeriod) / float64(max(whole, 1))
	until := scrubMargin*float64(e.o.ScrubPeriod) - float64(time.Since(e.scrub.at.Began))
	return min(max(until/float64(max(left, 1)), usual/scrubHurry), usual)
}

// errScrubEnded ends a scan: the engine is being closed, or the index has failed.
var errScrubEnded = errors.New("engine: the scrub ended")

// scrubSegment reads what is live and durable in a segment, and says whether the engine still runs. A table that cannot
// be read is for others to find: each slot is read when its blob is asked for.
func (e *Engine) scrubSegment(s *seg, wait float64, saved *time.Time) bool {
	upTo := e.rowOf(s).Watermark
	_, err := s.Scan(e.scrub.at.Slot, func(rec segments.Record) error {
		if !e.running() {
			return errScrubEnded
		}
		if rec.Slot >= upTo {
			return errScrubSegment
		}
		n := segments.Blocks(rec.Length)
		if rec.Dead || !s.trusted(rec.Slot) {
			return nil
		}
		ent, err := e.ix.Get(rec.Hash)
		if err != nil || ent.Location != rec.Location {
			return nil
		}
		nap, naps := scrubNaps(wait, n)
		if !e.scrubPause(time.Duration(wait*float64(n)) - time.Duration(naps)*nap) {
			return errScrubEnded
		}
		if !e.scrubRecord(s, rec.Hash, ent, nap) {
			return errScrubEnded
		}
		e.scrub.at.Slot = rec.Slot + 1
		e.scrub.left.Add(-n)
		if time.Since(*saved) > scrubSave {
			e.saveScrub()
			*saved = time.Now()
		}
		return nil
	})
	if err != nil && !errors.Is(err, errScrubEnded) && !errors.Is(err, errScrubSegment) && !s.isGone() {
		e.ioError("read", err)
	}
	return !errors.Is(err, errScrubEnded) && e.running()
}

// errScrubSegment ends a scan at the watermark: what is above it is for the next pass.
var errScrubSegment = errors.New("engine: no more that is durable")

// scrubNaps is how long, and how often, the read of a record of n bytes pauses between its pieces, so that a large one is no
// burst. The pauses are short, because the record is pinned meanwhile.
func scrubNaps(wait float64, n int64) (nap time.Duration, naps int64) {
	return min(time.Duration(wait*segments.DirectPiece), scrubNap), (n - 1) / segments.DirectPiece
}

// scrubPause spreads the reads over the period, and then waits while the disk is at work for others. It says whether the
// engine still runs.
func (e *Engine) scrubPause(d time.Duration) bool {
	if e.scrub.owed += d; e.scrub.owed >= scrubNap {
		d, e.scrub.owed = e.scrub.owed, 0
		if !e.sleep(d) {
			return false
		}
	}
	for waited := time.Duration(0); waited < scrubYield && (e.bufs.Out() > 0 || e.stats.putting.Load() > 0); waited += scrubNap {
		if !e.sleep(scrubNap) {
			return false
		}
	}
	return true
}

// scrubRecord reads one record, which counts as no use of it, and says whether it got to its end.
func (e *Engine) scrubRecord(s *seg, h blob.Hash, ent index.Entry, nap time.Duration) bool {
	if !s.Hold(ent.Slot) {
		return true // it was removed meanwhile
	}
	err := s.ProveSlowly(h, ent.Location, func() error {
		if !e.scrubPause(nap) {
			return errScrubEnded
		}
		return nil
	})
	if errors.Is(err, errors.ErrUnsupported) {
		if e.scrub.buf == nil {
			e.scrub.buf = make([]byte, 256<<10)
		}
		err = s.Verify(ent.Location, e.scrub.buf)
	}
	s.Unpin(ent.Slot)
	if errors.Is(err, errScrubEnded) {
		return false
	}
	if ofTheProcess(err) {
		e.ioError("read", err)
		return true
	}
	e.scrub.blobs.Add(1)
	e.scrub.bytes.Add(int64(ent.Length))
	if err == nil {
		return true
	}
	e.scrub.findings.Add(1)
	e.hot.drop(h)
	e.readFailed(h, ent, fmt.Errorf("engine: scrub: %w", err))
	return true
}

// scrubStats is a snapshot.
func (e *Engine) scrubStats() ScrubStats {
	c := &e.scrub
	st := ScrubStats{
		Period: e.o.ScrubPeriod, Passes: c.passes.Load(), Blobs: c.blobs.Load(), Bytes: c.bytes.Load(), Findings: c.findings.Load(),
	}
	if n := c.began.Load(); n > 0 {
		st.Began = time.Unix(n, 0)
	}
	if whole := c.whole.Load(); whole > 0 {
		st.Done = min(max(1-float64(c.left.Load())/float64(whole), 0), 1)
	}
	return st
}
