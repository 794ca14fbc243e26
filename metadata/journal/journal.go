// Package journal notes on disk what a catalogue is yet to be told: which blobs came or went, and which were asked for.
//
// It holds no order of events. An entry is a hash and what kinds of news there are of it; whoever works it off asks the
// store what is true now, tells the catalogue that, and settles the entry. An entry that was noted again meanwhile stays.
// So the work may be done twice, or be cut short anywhere, and a blob that changes often takes one entry, however long
// the catalogue is away.
//
// What must hold:
//
//   - Note never waits and never fails. What it is given reaches the disk within a moment; NoteDurably waits for that.
//   - Whole says whether the journal has all news since the catalogue and the store last agreed. It is false for a new
//     journal, one that was damaged, one that was not closed, one whose disk failed, and one that was given more at once
//     than it holds in memory. Then the two are to be compared, and SetWhole notes that they were.
//
// The rows are those of package index, with entries that have no place: the hash leads to what is noted, and the order of
// the sequences is the order of the notes. Index survives a failing disk, and says what is damaged.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// News is what there is to tell of a blob; more than one may be set.
type News uint8

// The kinds of news.
const (
	Changed News = 1 << iota // it came or went
	Used                     // it was asked for
)

// Entry is what is noted of one blob.
type Entry struct {
	Hash blob.Hash
	News News
	At   time.Time // of the last note, to the second

	seq uint64
}

const (
	// flushAfter is how long notes may gather before they are written.
	flushAfter = 100 * time.Millisecond
	// maxPending bounds the notes in memory, which are many only while the disk does not keep up.
	maxPending = 1 << 18
	// maxGroup bounds the notes of one commit.
	maxGroup = 1024

	cacheBytes    = 8 << 20
	memTableBytes = 1 << 20

	seqSeconds = 30 // bits of a sequence below its Unix time, for a counter
)

// Journal is an open journal. All methods are safe for concurrent use.
type Journal struct {
	log  *slog.Logger
	fsys diskfs.FS
	dir  string
	ix   *index.Index

	mu      sync.Mutex
	pending map[blob.Hash]News

	work   sync.Mutex // held by whoever reads and writes rows; taken before mu
	last   uint64     // sequence given out; under work
	count  atomic.Int64
	whole  atomic.Bool
	met    atomic.Bool   // it was whole once, in this run or an earlier one; on disk it is Meta.Clean
	losses atomic.Uint64 // notes of changes that were lost since Open
	drops  atomic.Uint64 // notes of uses that were

	noted    chan struct{} // wakes the flusher
	ready    chan struct{} // see Ready
	stopping chan struct{}
	stopped  chan struct{} // the flusher ended
	closing  sync.Once
	closeErr error
}

// Note notes news of a blob, in memory. It never blocks for long and does no I/O.
func (j *Journal) Note(h blob.Hash, n News) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before, there := j.pending[h]
	switch {
	case there || len(j.pending) < maxPending:
		if before|n != before || !there {
			j.pending[h] = before | n
		}
		if !there && len(j.pending) == 1 {
			poke(j.noted)
		}
	case n&Changed != 0:
		j.lose(1)
	default:
		j.drops.Add(1)
	}
}

// NoteDurably is Note, and the note is on disk when it returns without an error.
func (j *Journal) NoteDurably(h blob.Hash, n News) error {
	j.Note(h, n)
	j.work.Lock()
	defer j.work.Unlock()
	if err := j.flush(); err != nil {
		return err
	}
	return j.commit(j.ix.NewBatch(), true)
}

// NoteAll notes that many blobs have changed, and waits until that is written.
func (j *Journal) NoteAll(hashes []blob.Hash) error {
	j.work.Lock()
	defer j.work.Unlock()
	for some := range slices.Chunk(hashes, maxGroup) {
		m := make(map[blob.Hash]News, len(some))
		for _, h := range some {
			m[h] = Changed
		}
		if err := j.write(m); err != nil {
			return err
		}
	}
	poke(j.ready)
	return nil
}

// lose notes that changes were lost.
func (j *Journal) lose(n int) {
	j.losses.Add(uint64(n))
	j.whole.Store(false)
}

// Ready is sent to when there may be entries to work off.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Whole says whether the journal has all news since Store and catalogue last agreed.
func (j *Journal) Whole() bool { return j.whole.Load() }

// Losses is a count that rises when news is lost. Whoever compares reads it before, and gives it to SetWhole.
func (j *Journal) Losses() uint64 { return j.losses.Load() }

// SetWhole notes that store and catalogue agree but for what the journal has. losses is what Losses was when the
// comparison began: it counts for nothing if news was lost since.
func (j *Journal) SetWhole(losses uint64) {
	j.mu.Lock() // under which notes are lost
	defer j.mu.Unlock()
	if j.losses.Load() == losses {
		j.whole.Store(true)
		j.met.Store(true)
	}
}

// Met says whether the journal was whole once: whether store and catalogue are known to belong together.
func (j *Journal) Met() bool { return j.met.Load() }

// Doubt notes that the journal may lack news.
func (j *Journal) Doubt() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lose(1)
}

// Next gives up to n entries, the oldest first, from the first one that is not before from, and where to go on. Less than
// n says that there are no more now.
func (j *Journal) Next(from uint64, n int) (entries []Entry, next uint64, err error) {
	j.work.Lock()
	defer j.work.Unlock()
	if err := j.flush(); err != nil {
		return nil, from, err
	}
	cur, err := j.ix.Cursor(from)
	if err != nil {
		return nil, from, fmt.Errorf("journal: %w", err)
	}
	defer cur.Close()
	now := time.Now()
	for len(entries) < n {
		row, ok := cur.Next()
		if !ok {
			break
		}
		from = row.Seq + 1
		e, err := j.ix.Get(row.Hash)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, from, fmt.Errorf("journal: %w", err)
		}
		at := timeOf(e.Seq)
		if at.After(now) { // the clock was set back
			at = now
		}
		entries = append(entries, Entry{Hash: row.Hash, News: News(e.Length), At: at, seq: e.Seq})
	}
	if err := cur.Err(); err != nil {
		return nil, from, fmt.Errorf("journal: %w", err)
	}
	return entries, from, nil
}

// Settle removes entries that were worked off, but for those that were noted again since Next gave them.
func (j *Journal) Settle(entries []Entry) error {
	j.work.Lock()
	defer j.work.Unlock()
	b := j.ix.NewBatch()
	gone := int64(0)
	for _, e := range entries {
		now, err := j.ix.Get(e.Hash)
		switch {
		case errors.Is(err, blob.ErrNotFound):
		case err != nil:
			return fmt.Errorf("journal: %w", err)
		case now.Seq == e.seq:
			b.Delete(e.Hash, now)
			gone++
		}
	}
	if err := j.commit(b, false); err != nil {
		return err
	}
	j.count.Add(-gone)
	return nil
}

// flush writes what is pending; work is held.
func (j *Journal) flush() error {
	for {
		some := j.take()
		if len(some) == 0 {
			return nil
		}
		if err := j.write(some); err != nil {
			j.giveUp(some)
			return err
		}
	}
}

// take takes up to a group of notes out of memory.
func (j *Journal) take() map[blob.Hash]News {
	j.mu.Lock()
	defer j.mu.Unlock()
	some := j.pending
	if len(some) <= maxGroup {
		j.pending = map[blob.Hash]News{}
		return some
	}
	some = make(map[blob.Hash]News, maxGroup)
	for h, n := range j.pending {
		if some[h] = n; len(some) == maxGroup {
			break
		}
	}
	for h := range some {
		delete(j.pending, h)
	}
	return some
}

// write adds notes to the rows.
func (j *Journal) write(some map[blob.Hash]News) error {
	b := j.ix.NewBatch()
	added := int64(0)
	for h, n := range some {
		old, err := j.ix.Get(h)
		switch {
		case errors.Is(err, blob.ErrNotFound):
			added++
		case err != nil:
			return fmt.Errorf("journal: %w", err)
		case n|News(old.Length) == News(old.Length) && n&Changed == 0:
			continue // a second use tells nothing new
		default:
			b.Delete(h, old)
			n |= News(old.Length)
		}
		j.last = max(j.last+1, uint64(max(0, time.Now().Unix()))<<seqSeconds)
		b.Put(h, index.Entry{Location: segments.Location{Length: uint32(n)}, Seq: j.last})
	}
	b.SetMeta(index.Meta{NextSeq: j.last + 1, Clean: j.Met()})
	if err := j.commit(b, false); err != nil {
		return err
	}
	j.count.Add(added)
	return nil
}

// giveUp notes that notes are lost which could not be written.
func (j *Journal) giveUp(some map[blob.Hash]News) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range some {
		if n&Changed != 0 {
			j.lose(1)
		} else {
			j.drops.Add(1)
		}
	}
}

// commit is batch.Commit, which may never return once the disk has failed, and is left behind then.
func (j *Journal) commit(b *index.Batch, sync bool) error {
	done := make(chan error, 1)
	go func() { done <- b.Commit(sync) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		return nil
	case <-j.ix.Failed():
		return fmt.Errorf("journal: %w", j.ix.Err())
	}
}

// flushLoop writes notes a moment after they were made.
func (j *Journal) flushLoop() {
	defer close(j.stopped)
	for {
		select {
		case <-j.stopping:
			return
		case <-j.noted:
		}
		wait := time.NewTimer(flushAfter)
		select {
		case <-j.stopping:
			wait.Stop()
			return
		case <-wait.C:
		}
		j.work.Lock()
		_ = j.flush() // logged when the index failed; Whole says that news was lost
		j.work.Unlock()
		poke(j.ready)
	}
}

// timeOf is when a sequence was given out.
func timeOf(seq uint64) time.Time { return time.Unix(int64(seq>>seqSeconds), 0) }

// poke wakes whoever listens on c; pokes that it has not seen yet count once.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
