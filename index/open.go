package index

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/OdyseeTeam/prism/index/guardfs"
)

const (
	// slowWrite is how long one write, sync or rename may take before it counts as slow.
	slowWrite = 5 * time.Second

	// openGrace is how long Pebble may take to give up opening after the first failed write, before it is abandoned.
	openGrace = 10 * time.Second
)

// Open opens the index in o.Dir, and makes one when there is none. Work that an unclean end left over is done before it
// returns: at most two logs of the size of a memtable are read.
//
// Errors: ErrCorrupt, ErrNewerFormat, ErrLocked; what else fails is an error of the system, about the disk.
func Open(o Options) (*Index, error) {
	o = o.withDefaults()
	x := &Index{
		log:       o.Logger,
		onFailure: o.OnFailure,
		cache:     pebble.NewCache(o.CacheBytes),
		keys:      sync.Pool{New: func() any { return new([blobKeySize]byte) }},
		closing:   make(chan struct{}),
	}
	x.reads.quiet, x.writes.quiet = make(chan struct{}), make(chan struct{})
	disk, monitor := vfs.WithDiskHealthChecks(o.FS, slowWrite, nil, x.diskSlow)
	x.monitor, x.guard = monitor, guardfs.New(disk)

	if err := x.open(o); err != nil {
		if first := x.guard.Err(); first != nil {
			err = first
		}
		x.shut()
		err = errors.Join(err, x.closePebble())
		x.abandon()
		return nil, fmt.Errorf("index: open %s: %w", o.Dir, judgeOpen(err))
	}
	x.watcher.Go(x.watch)
	return x, nil
}

// open takes the steps of Open in their order.
func (x *Index) open(o Options) error {
	if err := x.makeFolder(o.Dir); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(o.Dir, x.guard)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err := x.guard.Adopt(o.Dir); err != nil {
		return err
	}
	if err := x.checkFormat(o.Dir); err != nil {
		return err
	}
	if x.db, err = x.openPebble(o.Dir, x.pebbleOptions(o, lock)); err != nil {
		return err
	}
	x.lock = lock
	if _, _, err := x.readMeta(); err != nil {
		return err
	}
	return x.guard.Arm()
}

// makeFolder makes a missing folder, durably.
func (x *Index) makeFolder(dir string) error {
	_, err := x.guard.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := x.guard.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	parent, err := x.guard.OpenDir(x.guard.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// checkFormat refuses the files of a later Pebble, before Pebble sees them: it would go on in the later format if it
// knew it, and has no error of its own for one that it does not know.
func (x *Index) checkFormat(dir string) error {
	text, err := atomicfs.ReadMarker(x.guard, dir, "format-version")
	if err != nil || text == "" {
		return err
	}
	version, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%w: format version %q", ErrCorrupt, text)
	case version > FormatVersion:
		return fmt.Errorf("%w: Pebble %d, this program writes %d", ErrNewerFormat, version, FormatVersion)
	}
	return nil
}

// openPebble opens the database on a goroutine that is left behind when Pebble hangs, as it does when a file that it
// needs cannot be written: the guard then parks it.
func (x *Index) openPebble(dir string, p *pebble.Options) (*pebble.DB, error) {
	type result struct {
		db  *pebble.DB
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if cause := recover(); cause != nil { // replaying a damaged log can panic
				r = result{err: fmt.Errorf("%w: %v", ErrCorrupt, cause)}
			}
			done <- r
		}()
		r.db, r.err = pebble.Open(dir, p)
	}()
	failed, late := x.guard.Failed(), (<-chan time.Time)(nil)
	for {
		select {
		case r := <-done:
			if pebble.IsCorruptionError(r.err) {
				r.err = fmt.Errorf("%w: %w", ErrCorrupt, r.err)
			}
			return r.db, r.err
		case <-x.guard.Parked():
			return nil, x.guard.Err()
		case <-failed:
			failed, late = nil, time.After(openGrace)
		case <-late:
			return nil, x.guard.Err()
		}
	}
}
