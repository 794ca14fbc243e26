package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// Options are the settings of a Journal. Only Dir is required.
type Options struct {
	FS     diskfs.FS    // default: the operating system's
	Dir    string       // the folder, for the journal alone; made when it is missing
	Logger *slog.Logger // default: slog.Default()
}

// ErrLocked: another process has the journal open.
var ErrLocked = errors.New("journal: another process has it open")

// Open opens the journal in a folder, and notes on disk that it is in use. A damaged one is removed, and begun anew.
// Errors: ErrLocked, index.ErrNewerFormat, or the system's.
func Open(o Options) (*Journal, error) {
	if o.FS == nil {
		o.FS = diskfs.OS()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	j, err := open(o)
	if errors.Is(err, index.ErrCorrupt) {
		o.Logger.Error("the journal of what the catalogue is yet to be told is damaged; it is begun anew, and the store "+
			"is compared with the catalogue where that can be done", "dir", o.Dir, "err", err)
		if err = diskfs.RemoveAll(o.FS, o.Dir); err == nil {
			j, err = open(o)
		}
	}
	switch {
	case errors.Is(err, index.ErrLocked):
		return nil, fmt.Errorf("%w: %s: stop it, or give each its own folder", ErrLocked, o.Dir)
	case err != nil:
		return nil, fmt.Errorf("journal: open %s: %w", o.Dir, err)
	}
	go j.flushLoop()
	return j, nil
}

func open(o Options) (*Journal, error) {
	j := &Journal{
		log:     o.Logger,
		fsys:    o.FS,
		dir:     o.Dir,
		pending: map[blob.Hash]News{},
		noted:   make(chan struct{}, 1), ready: make(chan struct{}, 1),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	var err error
	j.ix, err = index.Open(index.Options{
		FS: pebblefs.New(o.FS), Dir: o.Dir, CacheBytes: cacheBytes, MemTableBytes: memTableBytes, Logger: o.Logger,
		OnFailure: func(err error) {
			j.Doubt()
			j.log.Error("the disk under the journal has failed; the catalogue is told nothing until a restart, which compares "+
				"it with the store", "dir", o.Dir, "err", err)
		},
	})
	if err != nil {
		return nil, err
	}
	if err := j.load(); err != nil {
		return nil, errors.Join(err, j.ix.Close())
	}
	return j, nil
}

// load reads every row, which finds what is damaged, and counts the entries.
func (j *Journal) load() error {
	meta, known, err := j.ix.Meta()
	if err != nil {
		return err
	}
	err = j.ix.All(func(h blob.Hash, e index.Entry) error {
		if e.Segment != 0 || News(e.Length)&^(Changed|Used) != 0 {
			return fmt.Errorf("%w: the entry of %s is none of a journal", index.ErrCorrupt, h.Short())
		}
		j.last = max(j.last, e.Seq)
		j.count.Add(1)
		return nil
	})
	if err != nil {
		return err
	}
	ordered, err := j.countOrder()
	if err == nil && ordered != j.count.Load() {
		err = fmt.Errorf("%w: %d entries, %d of them in order", index.ErrCorrupt, j.count.Load(), ordered)
	}
	if err != nil {
		return err
	}
	j.last = max(j.last, meta.NextSeq)
	whole, err := j.takeSeal()
	if err != nil {
		return err
	}
	j.whole.Store(known && whole)
	j.met.Store(known && meta.Clean)
	if j.count.Load() > 0 {
		poke(j.ready)
	}
	return nil
}

// countOrder counts the rows of the order that lead to an entry.
func (j *Journal) countOrder() (int64, error) {
	cur, err := j.ix.Cursor(0)
	if err != nil {
		return 0, err
	}
	defer cur.Close()
	n := int64(0)
	for row, ok := cur.Next(); ok; row, ok = cur.Next() {
		e, err := j.ix.Get(row.Hash)
		switch {
		case errors.Is(err, blob.ErrNotFound), err == nil && e.Seq != row.Seq:
			return 0, fmt.Errorf("%w: the order names what is no entry", index.ErrCorrupt)
		case err != nil:
			return 0, err
		}
		n++
	}
	return n, cur.Err()
}

// Close writes what is pending, and closes the journal. Notes that are made later are lost, without a trace: whoever
// makes them must have ended.
func (j *Journal) Close() error {
	j.closing.Do(func() { j.closeErr = j.close() })
	return j.closeErr
}

func (j *Journal) close() error {
	close(j.stopping)
	<-j.stopped
	j.work.Lock()
	defer j.work.Unlock()
	err := j.flush()
	if err == nil {
		b := j.ix.NewBatch()
		b.SetMeta(index.Meta{NextSeq: j.last + 1, Clean: j.Met()})
		err = j.commit(b, true)
	}
	if err = errors.Join(err, j.ix.Close()); err != nil || !j.whole.Load() {
		return err
	}
	if err := j.writeSeal(j.last + 1); err != nil {
		return fmt.Errorf("journal: close: %w", err)
	}
	return nil
}

// Stats is a snapshot.
type Stats struct {
	Entries int64         // blobs with news that the catalogue was not told
	Oldest  time.Duration // age of the oldest of them; 0 without any
	Bytes   int64         // on disk
	Whole   bool          // see Journal.Whole
	Failed  bool          // the disk under it failed
	Lost    uint64        // changes that were not noted, since Open; a comparison finds them
	Dropped uint64        // uses that were not noted, since Open
}

// Stats may be asked for at any time.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	pending := len(j.pending)
	j.mu.Unlock()
	s := Stats{
		Entries: j.count.Load() + int64(pending), Bytes: j.DiskBytes(), Whole: j.Whole(), Failed: j.ix.Err() != nil,
		Lost: j.losses.Load(), Dropped: j.drops.Load(),
	}
	if cur, err := j.ix.Cursor(0); err == nil {
		if row, ok := cur.Next(); ok {
			s.Oldest = max(0, time.Since(timeOf(row.Seq)))
		}
		cur.Close()
	}
	return s
}

// DiskBytes is what the journal takes on disk.
func (j *Journal) DiskBytes() int64 { return j.ix.Stats().DiskBytes }
