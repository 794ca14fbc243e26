package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// errIndexFailed: the index took a fault that it cannot get over while it is open. Gets go on, puts pass through.
var errIndexFailed = fmt.Errorf("engine: the index has failed: %w", blob.ErrUnavailable)

// maxGroup bounds the changes of one commit.
const maxGroup = 256

// change is one caller's part of a commit.
type change struct {
	// apply adds the change to the group; it runs on the committer's goroutine.
	apply func(*group)
	// after runs on the committer's goroutine once the group is committed, before the caller is woken.
	after func()
	sync  bool
	done  chan error // room for one
}

// group is the changes that one index batch takes. It sees its own changes, which the index does not show yet.
type group struct {
	e       *Engine
	batch   *index.Batch
	sync    bool
	pending map[blob.Hash]*index.Entry // nil: removed in this group
	rows    map[segments.ID]*seg       // whose row changed
	first   uint64                     // every sequence given out in this group is above it
	fault   error                      // of a look-up: the change that met it fails
	changed []blob.Hash                // came or went
}

// removed is a record that a group took out of the index.
type removed struct {
	seg   *seg
	entry index.Entry
}

// committer is the only writer of the index.
type committer struct {
	queue chan *change
	stop  chan struct{}
	idle  chan struct{} // closed when the goroutine ended
	rows  sync.RWMutex  // guards every seg.row: written by the committer, read by anyone
}

func newCommitter() *committer {
	return &committer{queue: make(chan *change, maxGroup), stop: make(chan struct{}), idle: make(chan struct{})}
}

// commit applies a change and waits until it is in the index, durably if sync is set. After a failure of the index it
// returns errIndexFailed, whatever became of the change: the committer may be parked inside the index for ever, and is
// left behind.
func (e *Engine) commit(c *change) error {
	c.done = make(chan error, 1)
	select {
	case e.com.queue <- c:
	case <-e.ix.Failed():
		return errIndexFailed
	case <-e.com.idle:
		return errClosed
	}
	select {
	case err := <-c.done:
		return err
	case <-e.ix.Failed():
		return errIndexFailed
	case <-e.com.idle:
	}
	select {
	case err := <-c.done: // its last group
		return err
	default:
		return errClosed
	}
}

// commitLoop is the committer's goroutine. It ends when stop is closed and the queue is empty, or when the index has
// failed.
func (e *Engine) commitLoop() {
	defer close(e.com.idle)
	var todo []*change
	for {
		select {
		case c := <-e.com.queue:
			todo = append(todo[:0], c)
		case <-e.ix.Failed():
			return
		case <-e.com.stop:
			select {
			case c := <-e.com.queue:
				todo = append(todo[:0], c)
			default:
				return
			}
		}
	more:
		for len(todo) < maxGroup {
			select {
			case c := <-e.com.queue:
				todo = append(todo, c)
			default:
				break more
			}
		}
		e.commitGroup(todo)
	}
}

func (e *Engine) commitGroup(todo []*change) {
	g := &group{
		e:       e,
		batch:   e.ix.NewBatch(),
		pending: map[blob.Hash]*index.Entry{},
		rows:    map[segments.ID]*seg{},
		first:   e.seq.Load(),
	}
	e.com.rows.Lock()
	faults := make([]error, len(todo))
	for i, c := range todo {
		g.sync = g.sync || c.sync
		c.apply(g)
		faults[i], g.fault = g.fault, nil
	}
	for _, s := range g.rows {
		g.batch.SetSegment(s.row)
	}
	e.com.rows.Unlock()
	var err error
	if g.batch.Len() > 0 || g.sync {
		err = g.batch.Commit(g.sync)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errIndexFailed, err)
		e.ioError("index", err)
	}
	e.watch.tell(g.changed)
	for i, c := range todo {
		if err == nil && c.after != nil {
			c.after()
		}
		c.done <- errors.Join(err, faults[i])
	}
}

// get looks a blob up as this group will leave it.
func (g *group) get(h blob.Hash) (index.Entry, bool) {
	if e, ok := g.pending[h]; ok {
		if e == nil {
			return index.Entry{}, false
		}
		return *e, true
	}
	e, err := g.e.ix.Get(h)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		g.fault = g.e.indexError(err)
	}
	return e, err == nil
}

// put adds a record, unless the blob has one already: of two, the first to be committed stays.
func (g *group) put(s *seg, rec segments.Record) bool {
	if _, ok := g.get(rec.Hash); ok || g.fault != nil {
		return false
	}
	e := index.Entry{Location: rec.Location, Seq: g.e.seq.Add(1), Kind: rec.Kind}
	g.batch.Put(rec.Hash, e)
	g.pending[rec.Hash] = &e
	g.changed = append(g.changed, rec.Hash)
	g.count(s, e, 1)
	return true
}

// remove takes a blob out, if its entry is one that is wanted gone.
func (g *group) remove(h blob.Hash, wanted func(index.Entry) bool) (removed, bool) {
	e, ok := g.get(h)
	if !ok || wanted != nil && !wanted(e) {
		return removed{}, false
	}
	g.batch.Delete(h, e)
	g.pending[h] = nil
	g.changed = append(g.changed, h)
	s := g.e.segs.get(e.Segment)
	if s == nil {
		return removed{}, true
	}
	g.count(s, e, -1)
	if e.Slot >= s.row.Watermark {
		g.batch.Tombstone(e.Segment, e.Slot)
	}
	return removed{seg: s, entry: e}, true
}

// restamp moves a blob to the young end of the order, if its sequence still is seq.
func (g *group) restamp(h blob.Hash, seq uint64) {
	e, ok := g.get(h)
	if !ok || e.Seq != seq {
		return
	}
	now := g.e.seq.Add(1)
	g.batch.Restamp(h, e, now)
	e.Seq = now
	g.pending[h] = &e
}

// count adds n records like e to the segment's row.
func (g *group) count(s *seg, e index.Entry, n int64) {
	bytes := n * segments.Blocks(e.Length)
	s.row.LiveBlobs += n
	s.row.LiveBytes += bytes
	g.e.blobs.Add(n)
	g.e.liveBytes.Add(bytes)
	if e.Kind == blob.KindSD {
		s.row.SDBytes += bytes
		g.e.sdBytes.Add(bytes)
	}
	g.rows[s.ID()] = s
}

// setRow changes a segment's row.
func (g *group) setRow(s *seg, f func(*index.SegmentRow)) {
	f(&s.row)
	g.rows[s.ID()] = s
}

// rowOf is a copy of a segment's row.
func (e *Engine) rowOf(s *seg) index.SegmentRow {
	e.com.rows.RLock()
	defer e.com.rows.RUnlock()
	return s.row
}

// bury is what follows the commit of a removal: the slot is marked dead on disk, and once its readers are gone its
// space goes to the reclaimer. An I/O error here loses nothing: the index no longer points at the record.
func (e *Engine) bury(r removed) {
	switch {
	case r.seg == nil:
	case r.seg.broken(r.entry.Slot):
		// The device may hand a bad block out again: it stays charged, and away from use, until the next start or the end
		// of its segment.
		r.seg.owes.Store(true)
		e.buryThen(r, func() {})
	default:
		e.buryThen(r, func() { e.discard(r.seg, r.entry.Location) })
	}
}

// buryThen is bury, with another use for the space.
func (e *Engine) buryThen(r removed, then func()) {
	r.seg.Kill(r.entry.Slot, then)
	r.seg.loose.Store(true)
	e.markDead(r.seg, r.entry.Slot)
}

// markDead marks a slot dead on disk. Where that fails, the next start finds the slot and does it.
func (e *Engine) markDead(s *seg, slot uint32) {
	err := s.MarkDead(slot)
	if errors.Is(err, segments.ErrBadSlot) { // it was never written, or half of it, or it is damaged
		err = s.EraseTorn(slot, slot+1)
	}
	switch {
	case err == nil:
	case s.isGone() && (errors.Is(err, fs.ErrClosed) || errors.Is(err, fs.ErrNotExist)):
	default:
		s.owes.Store(true)
		e.ioError("write", err)
	}
}
