package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// Options say how far to look.
type Options struct {
	Payloads bool // read each live payload and compare it with its CRC
	Hashes   bool // and with the blob's name; Payloads is then implied

	Limit Limit // nil: payloads are read as fast as they come

	// Progress is nil, or called now and then, on any goroutine, one at a time: bytes of payload that were read, of all,
	// or blobs that were looked at, where payloads are not read. Without an index total is what was found so far.
	Progress func(done, total int64)
}

// readsPayloads says whether payloads are looked at at all.
func (o Options) readsPayloads() bool { return o.Payloads || o.Hashes }

// Limit is waited for before n bytes of payload are read; n is blob.MaxSize at most. A *rate.Limiter is one.
type Limit interface {
	WaitN(ctx context.Context, n int) error
}

// indexCache is the RAM that the index gets, in bytes: it is read from end to end, and once.
const indexCache = 8 << 20

// Mount looks at the mount in dir. What is wrong with it is in the report; the error says why it could not be looked at:
// a *diskfs.LockedError, with the owner, when a process has it open; mount.ErrNotAMount when dir is something else, in
// which nothing is made; mount.ErrNewerVersion, index.ErrNewerFormat; ctx's; or the file system's.
func Mount(ctx context.Context, fsys diskfs.FS, dir string, o Options) (Report, error) {
	r := newReport(dir)
	if err := mustBeMount(fsys, dir); err != nil {
		return *r, fmt.Errorf("check: %w", err)
	}
	m, damage, err := openMount(fsys, dir)
	if err != nil {
		return *r, fmt.Errorf("check: %w", err)
	}
	c := &checker{fsys: fsys, mnt: m, super: m.Superblock(), o: o, rep: r}
	if damage != nil {
		c.find(Superblock, 0, "%v", damage)
		c.guessSuperblock()
	}
	if err := errors.Join(c.run(ctx), m.Close()); err != nil {
		return *r, fmt.Errorf("check %s: %w", dir, err)
	}
	r.sort()
	return *r, nil
}

// openMount takes the lock. damage is why the mount has no superblock, or nil.
func openMount(fsys diskfs.FS, dir string) (m *mount.Mount, damage, err error) {
	m, err = mount.Open(fsys, dir, mount.Superblock{})
	if !errors.Is(err, mount.ErrDamaged) {
		return m, nil, err
	}
	damage = err
	m, _, err = mount.OpenDamaged(fsys, dir)
	return m, damage, err
}

// guessSuperblock stands in for a superblock that is damaged: the mount is the one that most segments say they are of.
func (c *checker) guessSuperblock() {
	c.super.IDCeiling = math.MaxUint64
	names, _ := c.fsys.List(c.mnt.SegmentsDir()) // the run says what is wrong
	votes := map[[16]byte]int{}
	for _, name := range names {
		h, err := c.readHeader(filepath.Join(c.mnt.SegmentsDir(), name))
		if err != nil {
			continue
		}
		votes[h.Mount]++
		if n, most := votes[h.Mount], votes[c.super.ID]; n > most || n == most && bytes.Compare(h.Mount[:], c.super.ID[:]) < 0 {
			c.super.ID = h.Mount
		}
	}
}

// readHeader reads the header of a file, whatever mount it is of.
func (c *checker) readHeader(path string) (segments.Header, error) {
	f, err := c.fsys.Open(path, false)
	if err != nil {
		return segments.Header{}, err
	}
	defer f.Close()
	var b [segments.HeaderSize]byte
	n, _ := f.ReadAt(b[:], 0) // what is short is no header
	return segments.ParseHeader(b[:n])
}

// mustBeMount refuses whatever mount.Open would make a mount of.
func mustBeMount(fsys diskfs.FS, dir string) error {
	layout, err := mount.Detect(fsys, dir)
	if err != nil {
		return err
	}
	if layout.Kind != mount.LayoutSegments {
		return fmt.Errorf("%s holds %s: %w", dir, layout, mount.ErrNotAMount)
	}
	if _, err := fsys.Stat(filepath.Join(dir, "superblock")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{"segments", "index", "quarantine"} {
		if names, err := fsys.List(filepath.Join(dir, name)); err == nil && len(names) > 0 {
			return nil // a store that lost its superblock: mount.Open says so
		}
	}
	return fmt.Errorf("%s holds the empty folders of a store that was never made: %w", dir, mount.ErrNotAMount)
}

// checker is one run over one mount.
type checker struct {
	fsys   diskfs.FS
	mnt    *mount.Mount
	super  mount.Superblock // a guess, if that of mnt is damaged
	o      Options
	ix     *index.Index // nil: it is damaged, or another process has it
	served *live        // nil: the mount is at rest
	lost   bool         // the index is damaged, or empty although there are segments: these speak for themselves
	rows   rows
	room   []byte // for a payload, of the run itself and not of its comparers; nil until there is one: scratch

	payloads *payloads

	mu     sync.Mutex // the comparers of payloads take it
	rep    *Report
	doubts []Finding // of a mount that is served: to be asked about
	done   int64     // for Progress
	total  int64
}

func (c *checker) run(ctx context.Context) error {
	files, err := c.segmentFiles()
	if err != nil {
		return err
	}
	end := c.inspectIndex(ctx)
	err = end(c.checkAll(ctx, files))
	if c.ix == nil {
		return err
	}
	if e := c.ix.Close(); err == nil {
		err = c.indexError(e) // what reading it latched
	}
	c.ix = nil
	return err
}

// checkAll looks at the rows of the index, and at the segments.
func (c *checker) checkAll(ctx context.Context, files map[segments.ID]struct{}) error {
	segs, err := c.openIndex(ctx, len(files))
	if err != nil {
		return err
	}
	if !c.lost {
		if err := c.checkOrder(ctx); err != nil {
			return err
		}
	} else if c.served != nil {
		return nil // all that a served mount is held to is gone
	}
	c.payloads = c.startPayloads(ctx)
	if err := c.checkSegments(ctx, files, segs); err != nil {
		c.payloads.cancel(err)
	}
	if err := c.payloads.end(); err != nil {
		return err
	}
	return c.settleDoubts(ctx)
}

// checkSegments looks at all segments that have a file, a row, or a blob row, in their order.
func (c *checker) checkSegments(ctx context.Context, files map[segments.ID]struct{}, segs map[segments.ID]index.SegmentRow) error {
	ids := maps.Clone(files)
	for id := range segs {
		ids[id] = struct{}{}
	}
	for id := range c.rows {
		ids[id] = struct{}{}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		row, known := segs[id]
		_, there := files[id]
		s := &segment{checker: c, id: id, row: row, known: known, rows: c.rows[id]}
		if err := s.check(ctx, there); err != nil {
			return err
		}
		if err := c.settleDoubts(ctx); err != nil {
			return err
		}
	}
	return nil
}

// expect adds live blobs to all that there is to look at, where no index says how much that is.
func (c *checker) expect(live []*row) {
	n := int64(len(live))
	if c.o.readsPayloads() {
		n = lengths(live)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total += n
}

// passed tells of n more blobs, or bytes of payload, that were looked at, of all.
func (c *checker) passed(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	if c.o.Progress != nil {
		c.o.Progress(c.done, c.total)
	}
}

// add notes a finding.
func (c *checker) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rep.add(f)
}

// pending counts something that the next open has to do.
func (c *checker) pending() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rep.Pending++
}

// find notes a finding about a segment, or the mount with id 0.
func (c *checker) find(k Kind, id segments.ID, format string, args ...any) {
	c.add(Finding{Kind: k, Segment: id, Slot: NoSlot, Detail: fmt.Sprintf(format, args...)})
}

// findAt notes a finding about a record.
func (c *checker) findAt(k Kind, h blob.Hash, l segments.Location, format string, args ...any) {
	c.add(about(k, h, l, format, args...))
}

// about is a finding about a record.
func about(k Kind, h blob.Hash, l segments.Location, format string, args ...any) Finding {
	return Finding{
		Kind: k, Segment: l.Segment, Slot: int64(l.Slot), Offset: l.Offset, Hash: h, Detail: fmt.Sprintf(format, args...),
	}
}

// segmentFiles lists the files, by the ids in their names.
func (c *checker) segmentFiles() (map[segments.ID]struct{}, error) {
	names, err := c.fsys.List(c.mnt.SegmentsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // nobody makes the folder where there is no superblock
		return nil, fmt.Errorf("list segments: %w", err)
	}
	if c.served != nil { // ids are claimed before they are used, and some were since
		if c.mnt, err = mount.Look(c.fsys, c.mnt.Dir()); err != nil {
			return nil, err
		}
		c.super = c.mnt.Superblock()
	}
	ceiling := c.super.IDCeiling
	files := make(map[segments.ID]struct{}, len(names))
	for _, name := range names {
		id, ok := mount.ParseSegmentName(name)
		if !ok {
			c.find(ForeignFile, 0, "%s is no segment", filepath.Join(c.mnt.SegmentsDir(), name))
			continue
		}
		if uint64(id) >= ceiling {
			c.find(Superblock, id, "the superblock says that no id from %d on was used", ceiling)
		}
		files[id] = struct{}{}
	}
	c.rep.Files = len(files)
	return files, nil
}

// openIndex opens the index and reads its rows. One that is damaged, or that knows nothing of the files, is a finding;
// the segments are then looked at by themselves.
func (c *checker) openIndex(ctx context.Context, files int) (map[segments.ID]index.SegmentRow, error) {
	var err error
	if c.served == nil {
		c.ix, err = c.newIndex()
	}
	if err == nil {
		var segs map[segments.ID]index.SegmentRow
		if segs, err = c.readIndex(ctx, files); err == nil && !c.lost {
			return segs, nil
		}
	}
	if err != nil {
		if !isDamage(err) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		c.find(Index, 0, "%v", err)
	}
	c.lost, c.rows = true, nil
	r := c.rep
	r.GoodStop, r.Blobs, r.Bytes, r.LiveBytes, r.SDBytes, c.total = false, 0, 0, 0, 0, 0
	clear(r.Segments)
	if c.ix != nil {
		_ = c.ix.Close() // nothing was written to it
		c.ix = nil
	}
	return nil, nil
}

// newIndex opens the index and leaves its files as they are. Where its folder has none, which a run that was killed early
// or the loss of a marker may have left so, an empty one in memory stands in: made in the folder, it would delete tables.
func (c *checker) newIndex() (*index.Index, error) {
	if _, err := c.fsys.Stat(c.mnt.IndexDir()); err != nil {
		return nil, err
	}
	o := index.Options{FS: pebblefs.New(c.fsys), Dir: c.mnt.IndexDir(), CacheBytes: indexCache, ReadOnly: true}
	x, err := index.Open(o)
	if errors.Is(err, index.ErrNone) {
		return index.OpenInMemory(o)
	}
	return x, err
}

// readIndex reads all but the order.
func (c *checker) readIndex(ctx context.Context, files int) (map[segments.ID]index.SegmentRow, error) {
	meta, known, err := c.source().Meta()
	if err != nil {
		return nil, err
	}
	list, err := c.source().Segments()
	if err != nil {
		return nil, err
	}
	if err := c.readRows(ctx, list); err != nil {
		return nil, err
	}
	if !known && files+len(list)+len(c.rows) > 0 {
		c.lost = true
		c.rep.add(Finding{
			Kind: Index, Slot: NoSlot, Detail: fmt.Sprintf("no run of the program ever wrote it, and there are %d segments", files),
		})
	}
	c.rep.GoodStop = meta.Clean
	if c.total = c.rep.Blobs; c.o.readsPayloads() {
		c.total = c.rep.Bytes
	}
	segs := make(map[segments.ID]index.SegmentRow, len(list))
	for _, row := range list {
		segs[row.ID] = row
		c.rep.Segments[row.State]++
	}
	return segs, nil
}
