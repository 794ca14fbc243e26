package index

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/OdyseeTeam/prism/index/guardfs"
)

// slowWrite is how long one write, sync or rename may take before it counts as slow.
const slowWrite = 5 * time.Second

// Open opens the index in o.Dir, and makes one when there is none, unless o.ReadOnly. Work that an unclean end left over is
// done before it returns: at most two logs of the size of a memtable are read.
//
// Errors: ErrCorrupt, ErrNewerFormat, ErrLocked; ErrNone with o.ReadOnly; what else fails is an error of the system, about the disk.
func Open(o Options) (*Index, error) {
	o = o.withDefaults()
	x := &Index{
		dir:       o.Dir,
		log:       o.Logger,
		onFailure: o.OnFailure,
		cache:     pebble.NewCache(o.CacheBytes),
		keys:      sync.Pool{New: func() any { return new([blobKeySize]byte) }},
		closing:   make(chan struct{}),
		views:     map[*View]struct{}{},
	}
	x.reads.quiet, x.writes.quiet = make(chan struct{}), make(chan struct{})
	disk, monitor := vfs.WithDiskHealthChecks(o.FS, slowWrite, nil, x.diskSlow)
	x.monitor, x.guard = monitor, guardfs.New(disk)

	if err := x.openAside(o); err != nil {
		if first := x.guard.Err(); first != nil {
			err = first
		}
		x.onFailure = nil // see close
		x.shut()
		err = errors.Join(err, x.closePebble())
		x.abandon()
		return nil, fmt.Errorf("index: open %s: %w", o.Dir, judgeOpen(err))
	}
	x.watcher.Go(x.watch)
	return x, nil
}

// OpenInMemory opens an empty index that is on no disk, with the options that are not about files.
func OpenInMemory(o Options) (*Index, error) {
	o.FS, o.ReadOnly = vfs.NewMem(), false
	return Open(o)
}

// openAside opens on a goroutine that is left behind when a call of it is parked, or when Pebble waits for one that is.
func (x *Index) openAside(o Options) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if cause := recover(); cause != nil { // replaying a damaged log can panic
				err = fmt.Errorf("%w: %v", ErrCorrupt, cause)
			}
			done <- err
		}()
		err = x.open(o)
	}()
	select {
	case err := <-done:
		return err
	case <-x.guard.Parked():
		return x.guard.Err()
	}
}

// open takes the steps of Open in their order.
func (x *Index) open(o Options) (err error) {
	if !o.ReadOnly {
		err = x.makeFolder(o.Dir)
	} else if _, err = x.guard.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) {
		err = ErrNone
	}
	if err != nil {
		return err
	}
	if x.lock, err = x.takeLock(o.Dir); err != nil {
		return err
	}
	if err = x.guard.Adopt(o.Dir); err != nil {
		return err
	}
	if err = x.checkFormat(o.Dir); err != nil {
		return err
	}
	x.db, err = pebble.Open(o.Dir, x.pebbleOptions(o))
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return err
	}
	if _, _, err = x.readMeta(); err != nil {
		return err
	}
	return x.guard.Err()
}

// makeFolder makes a missing folder, and those above it, durably.
func (x *Index) makeFolder(dir string) error {
	var parents []string
	for at := dir; ; at = x.guard.PathDir(at) {
		_, err := x.guard.Stat(at)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		parents = append(parents, x.guard.PathDir(at))
	}
	if len(parents) == 0 {
		return nil
	}
	if err := x.guard.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range parents {
		d, err := x.guard.OpenDir(p)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}

// takeLock keeps others out. Pebble would too, but has no error of its own for it.
func (x *Index) takeLock(dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, x.guard)
	var errno syscall.Errno
	if err == nil || errors.As(err, &errno) && errno != syscall.EAGAIN {
		return lock, err
	}
	return nil, fmt.Errorf("%w: %w", ErrLocked, err)
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
		return fmt.Errorf("%w (Pebble %d, this program writes %d)", ErrNewerFormat, version, FormatVersion)
	}
	// The format is marked last when a database is made. Without this Pebble would begin an empty one over the old.
	if text, err = atomicfs.ReadMarker(x.guard, dir, "manifest"); err == nil && text == "" {
		err = fmt.Errorf("%w: no manifest is marked as current", ErrCorrupt)
	}
	return err
}
