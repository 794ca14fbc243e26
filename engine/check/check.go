package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"

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

	Limit    Limit                   // nil: payloads are read as fast as they come
	Progress func(done, total int64) // nil, or called now and then: blobs looked at, of all
}

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
	r := Report{Dir: dir, Segments: map[index.State]int{}, Found: map[Kind]int64{}}
	if err := mustBeMount(fsys, dir); err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	m, err := mount.Open(fsys, dir, mount.Superblock{})
	if errors.Is(err, mount.ErrDamaged) {
		r.add(Finding{Kind: Superblock, Slot: NoSlot, Detail: err.Error()})
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	c := &checker{fsys: fsys, mnt: m, o: o, rep: &r}
	if err := errors.Join(c.run(ctx), m.Close()); err != nil {
		return r, fmt.Errorf("check %s: %w", dir, err)
	}
	return r, nil
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
	fsys diskfs.FS
	mnt  *mount.Mount
	o    Options
	rep  *Report
	ix   *index.Index // nil: it is damaged, or another process has it
	live *live        // nil: the mount is at rest
	rows rows
	buf  []byte // for payloads
	done int64  // blobs in segments that were looked at
}

func (c *checker) run(ctx context.Context) error {
	files, err := c.segmentFiles()
	if err != nil {
		return err
	}
	segs, err := c.openIndex(ctx, len(files))
	if c.ix != nil {
		defer c.ix.Close()
	}
	if err != nil {
		return err
	}
	if c.rows != nil {
		if err := c.checkOrder(ctx); err != nil {
			return err
		}
	}
	if err := c.checkSegments(ctx, files, segs); err != nil || c.ix == nil {
		return err
	}
	err = c.ix.Close()
	c.ix = nil
	return err
}

// checkSegments looks at what has a file, a row, or blobs.
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
		s := segment{checker: c, id: id, row: row, known: known, rows: c.rows[id]}
		if err := s.check(ctx, there); err != nil {
			return err
		}
		c.passed(int64(len(s.rows)))
	}
	return nil
}

// passed tells of n more blobs that were looked at.
func (c *checker) passed(n int64) {
	c.done += n
	if c.o.Progress != nil {
		c.o.Progress(c.done, c.rep.Blobs)
	}
}

// find notes a finding about a segment, or the mount with id 0.
func (c *checker) find(k Kind, id segments.ID, format string, args ...any) {
	c.rep.add(Finding{Kind: k, Segment: id, Slot: NoSlot, Detail: fmt.Sprintf(format, args...)})
}

// findAt notes a finding about a record.
func (c *checker) findAt(k Kind, h blob.Hash, l segments.Location, format string, args ...any) {
	c.rep.add(about(k, h, l, format, args...))
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
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	if c.live != nil { // ids are claimed before they are used, and some were since
		if c.mnt, err = mount.Look(c.fsys, c.mnt.Dir()); err != nil {
			return nil, err
		}
	}
	ceiling := c.mnt.Superblock().IDCeiling
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
	if c.live == nil {
		c.ix, err = c.newIndex()
	}
	if err == nil {
		var segs map[segments.ID]index.SegmentRow
		if segs, err = c.readIndex(ctx, files); err == nil {
			return segs, nil
		}
	}
	if !errors.Is(err, index.ErrCorrupt) && !errors.Is(err, syscall.EIO) {
		return nil, err
	}
	c.find(Index, 0, "%v", err)
	c.rep.GoodStop, c.rows = false, nil
	if c.ix != nil {
		_ = c.ix.Close() // nothing was written to it
		c.ix = nil
	}
	return nil, nil
}

func (c *checker) newIndex() (*index.Index, error) {
	return index.Open(index.Options{FS: pebblefs.New(c.fsys), Dir: c.mnt.IndexDir(), CacheBytes: indexCache})
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
	if err := c.readRows(ctx); err != nil {
		return nil, err
	}
	if !known && files+len(list)+len(c.rows) > 0 {
		c.rep.add(Finding{
			Kind: Index, Slot: NoSlot, Detail: fmt.Sprintf("no run of the program ever wrote it, and there are %d segments", files),
		})
	}
	c.rep.GoodStop = meta.Clean
	segs := make(map[segments.ID]index.SegmentRow, len(list))
	for _, row := range list {
		segs[row.ID] = row
		c.rep.Segments[row.State]++
	}
	return segs, nil
}
