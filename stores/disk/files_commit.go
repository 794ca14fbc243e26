package disk

import (
	"errors"
	"fmt"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// errIndexFailed: the index took a fault that it cannot get over while it is open.
var errIndexFailed = fmt.Errorf("disk: the index has failed: %w", blob.ErrUnavailable)

// totalsID is the segment whose row in the index holds what all files add up to, and of which State says whether some
// walk has ended (StateSealed) and Watermark how many files walks have found, which makes their sequences unique.
const totalsID segments.ID = 1

// maxGroup bounds the changes of one commit.
const maxGroup = 128

// rowChange is what becomes of one blob's row: a nil row is one that is missing. Whoever makes one holds the blob's lock
// until the commit has returned, so that old is what the index has.
type rowChange struct {
	hash     blob.Hash
	old, now *index.Entry
}

// change is one caller's part of a commit.
type change struct {
	rows []rowChange
	meta func(*index.Meta)       // changes the meta row
	edit func(*index.SegmentRow) // changes what is in the totals' row beside totals
	sync bool
	done chan error // room for one
}

// committer is the only writer of the index.
type committer struct {
	queue chan *change
	stop  chan struct{}
	idle  chan struct{} // closed when the goroutine ended

	mu    sync.Mutex // guards what follows; only the committer writes it
	total index.SegmentRow
	dirty int64 // payload bytes of rows that were changed since the last synced commit
}

func newCommitter() *committer {
	return &committer{queue: make(chan *change, maxGroup), stop: make(chan struct{}), idle: make(chan struct{})}
}

// totals is a copy of the totals' row.
func (c *committer) totals() index.SegmentRow {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// unsyncedBytes is the payload of rows that a power cut would lose.
func (c *committer) unsyncedBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dirty
}

// commit applies a change and waits until it is in the index, durably if sync is set. After a failure of the index it
// returns errIndexFailed, whatever became of the change: the committer may be parked inside the index for ever, and is
// left behind.
func (s *files) commit(c *change) error {
	c.done = make(chan error, 1)
	select {
	case s.com.queue <- c:
	case <-s.ix.Failed():
		return errIndexFailed
	}
	select {
	case err := <-c.done:
		return err
	case <-s.ix.Failed():
		return errIndexFailed
	}
}

// commitRow is commit for one row.
func (s *files) commitRow(h blob.Hash, old, now *index.Entry, sync bool) error {
	return s.commit(&change{rows: []rowChange{{h, old, now}}, sync: sync})
}

// commitLoop is the committer's goroutine. It ends when stop is closed, or when the index has failed; by then nobody
// commits any more.
func (s *files) commitLoop() {
	defer close(s.com.idle)
	var todo []*change
	for {
		select {
		case c := <-s.com.queue:
			todo = append(todo[:0], c)
		case <-s.ix.Failed():
			return
		case <-s.com.stop:
			return
		}
		for len(todo) < maxGroup && len(s.com.queue) > 0 {
			todo = append(todo, <-s.com.queue)
		}
		s.commitGroup(todo)
	}
}

func (s *files) commitGroup(todo []*change) {
	b := s.ix.NewBatch()
	total := s.com.totals()
	meta := index.Meta{}
	sync, changed := false, int64(0)
	for _, c := range todo {
		sync = sync || c.sync
		for _, r := range c.rows {
			changed += count(&total, r.old, -1) + count(&total, r.now, 1)
			if r.old != nil {
				b.Delete(r.hash, *r.old)
			}
			if r.now != nil {
				b.Put(r.hash, *r.now)
			}
		}
		if c.edit != nil {
			c.edit(&total)
		}
		if c.meta != nil {
			c.meta(&meta)
		}
	}
	meta.NextSeq = s.seq.last.Load() + seqStep
	b.SetSegment(total)
	b.SetMeta(meta)
	err := b.Commit(sync)
	if err != nil {
		err = errors.Join(errIndexFailed, err)
		s.fault("index", err)
	} else {
		s.publish(total, changed, sync)
	}
	s.watch.tell(todo)
	for _, c := range todo {
		c.done <- err
	}
}

// publish makes a committed group known.
func (s *files) publish(total index.SegmentRow, changed int64, sync bool) {
	s.com.mu.Lock()
	s.com.total = total
	s.com.dirty += changed
	if sync {
		s.com.dirty = 0
	}
	s.com.mu.Unlock()
	s.space.setLive(total)
}

// count adds n rows like e to the totals, and returns the bytes that this concerns.
func count(total *index.SegmentRow, e *index.Entry, n int64) int64 {
	if e == nil {
		return 0
	}
	bytes := segments.Blocks(e.Length)
	total.LiveBlobs += n
	total.LiveBytes += n * bytes
	if e.Kind == blob.KindSD {
		total.SDBytes += n * bytes
	}
	return bytes
}
