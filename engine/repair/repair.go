package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// Options say how far to go.
type Options struct {
	DryRun      bool // say what would be done, and change nothing
	Fast        bool // believe payloads, as a rebuild by the engine does: each is proven by its first read
	IgnoreIndex bool // go by the segments alone, as if the index were damaged

	Limit    Limit                   // nil: payloads are read as fast as they come
	Progress func(done, total int64) // nil, or called after each segment
}

// Limit is waited for before n bytes of payload are read; n is blob.MaxSize at most. A *rate.Limiter is one.
type Limit interface {
	WaitN(ctx context.Context, n int) error
}

// Lost is a blob that the index had, or a slot, and that is not there any more.
type Lost struct {
	Hash   blob.Hash
	Place  segments.Location
	Reason string
}

// Report is what was done, or in a dry run would be.
type Report struct {
	Dir     string
	DryRun  bool
	Done    []string // one line each
	Blobs   int64    // that the mount has
	Adopted int64    // of them, those that the index did not have
	Lost    []Lost
}

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	would := ""
	if r.DryRun {
		would = "would: "
	}
	for _, line := range r.Done {
		fmt.Fprintf(&b, "%s%s\n", would, line)
	}
	for _, l := range r.Lost {
		fmt.Fprintf(&b, "LOST %s at %d:%d: %s\n", l.Hash, l.Place.Segment, l.Place.Slot, l.Reason)
	}
	fmt.Fprintf(&b, "%s: %d blobs, %d of them not in the old index, %d lost\n", r.Dir, r.Blobs, r.Adopted, len(r.Lost))
	return b.String()
}

// note adds a line to the report.
func (r *run) note(format string, args ...any) {
	r.rep.Done = append(r.rep.Done, fmt.Sprintf(format, args...))
}

// run is one repair of one mount.
type run struct {
	fsys  diskfs.FS
	mnt   *mount.Mount
	super mount.Superblock // as it will be
	o     Options
	rep   *Report

	superDamage error
	indexDamage error // the old index cannot be read, or is not asked
	clean       bool  // the last run ended in good order, by the old index
	oldSegs     map[segments.ID]index.SegmentRow
	tombs       map[segments.ID]map[uint32]struct{}
	rows        map[segments.ID][]row // of the old index; those of a segment until it is scanned

	files  []*file
	best   []ref  // the records that stand, by hash
	gone   []gone // what does not
	maxSeq uint64
	buf    []byte
}

const indexCache = 8 << 20

// Mount repairs the mount in dir. Errors: a *diskfs.LockedError when a process has it open, mount.ErrNotAMount,
// mount.ErrNewerVersion, index.ErrNewerFormat, segments.ErrNewerVersion, ctx's, or the file system's. After an error
// the next run goes on.
func Mount(ctx context.Context, fsys diskfs.FS, dir string, o Options) (Report, error) {
	rep := Report{Dir: dir, DryRun: o.DryRun}
	m, damage, err := mount.OpenDamaged(fsys, dir)
	if err != nil {
		return rep, fmt.Errorf("repair: %w", err)
	}
	r := &run{
		fsys: fsys, mnt: m, super: m.Superblock(), o: o, rep: &rep, superDamage: damage,
		oldSegs: map[segments.ID]index.SegmentRow{}, tombs: map[segments.ID]map[uint32]struct{}{}, rows: map[segments.ID][]row{},
	}
	err = r.plan(ctx)
	if err == nil && !o.DryRun {
		err = r.apply(ctx)
	}
	for _, f := range r.files {
		if f.seg != nil {
			err = errors.Join(err, f.seg.Close())
		}
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return rep, fmt.Errorf("repair %s: %w", dir, err)
	}
	return rep, nil
}

// plan reads everything and decides.
func (r *run) plan(ctx context.Context) error {
	if err := r.readIndex(ctx); err != nil {
		return err
	}
	if err := r.listFiles(); err != nil {
		return err
	}
	for i, f := range r.files {
		if f.seg == nil {
			continue
		}
		if err := r.scan(ctx, f); err != nil {
			return err
		}
		if r.o.Progress != nil {
			r.o.Progress(int64(i+1), int64(len(r.files)))
		}
	}
	r.settle()
	return r.findStrays()
}

// readIndex reads what the old index says, if it can be read.
func (r *run) readIndex(ctx context.Context) error {
	if r.o.IgnoreIndex {
		r.indexDamage = errors.New("a new index was asked for")
	} else if why, asked, err := r.mnt.RebuildRequested(); err != nil {
		return err
	} else if asked {
		r.indexDamage = fmt.Errorf("%w: %s", errLost, why)
	} else if err := r.inspectRows(ctx); err != nil {
		return err
	}
	switch err := r.indexDamage; {
	case err == nil:
		return nil
	case !r.o.IgnoreIndex && !isDamage(err):
		return err
	}
	r.note("make a new index from the segments: %v", r.indexDamage)
	r.clean = false
	clear(r.oldSegs)
	clear(r.tombs)
	return nil
}

// inspectRows reads the files of the index, and then its rows.
func (r *run) inspectRows(ctx context.Context) error {
	flaws, err := index.Inspect(ctx, pebblefs.New(r.fsys), r.mnt.IndexDir())
	if err != nil && !isDamage(err) {
		return err
	}
	r.indexDamage = r.readRows()
	for _, f := range flaws {
		if r.indexDamage == nil && (r.clean || f.Kind != index.Ragged && f.Kind != index.IdleRagged) {
			r.note("make a new index: %s: %s", f.File, f.What)
		}
	}
	return nil
}

// errLost: the index was given up before this run.
var errLost = errors.New("the index is to be made anew")

// isDamage says whether the index is not to be relied on. What else fails is about the process, and comes to an end with
// it.
func isDamage(err error) bool {
	for _, damage := range []error{errLost, index.ErrNone, index.ErrCorrupt, syscall.EIO, fs.ErrNotExist} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

// readRows reads all rows, and writes nothing.
func (r *run) readRows() error {
	x, err := index.Open(index.Options{FS: pebblefs.New(r.fsys), Dir: r.mnt.IndexDir(), CacheBytes: indexCache, ReadOnly: true})
	if err != nil {
		return err
	}
	defer x.Close() // nothing was written to it
	meta, known, err := x.Meta()
	if err == nil && !known {
		err = fmt.Errorf("%w: no run ever finished it", errLost)
	}
	if err != nil {
		return err
	}
	r.clean = meta.Clean
	rows, err := x.Segments()
	for _, row := range rows {
		r.oldSegs[row.ID] = row
		if err == nil {
			r.tombs[row.ID], err = x.Tombstones(row.ID)
		}
	}
	if err != nil {
		return err
	}
	return r.readBlobs(x)
}
