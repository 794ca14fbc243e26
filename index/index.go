package index

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index/guardfs"
)

// Index is the database of one mount. It is safe for concurrent use.
type Index struct {
	db      *pebble.DB
	dir     string
	guard   *guardfs.FS
	cache   *pebble.Cache
	lock    *pebble.Lock
	monitor io.Closer // of slow writes
	log     *slog.Logger
	events  events
	keys    sync.Pool // of *[blobKeySize]byte

	onFailure func(error)
	watcher   sync.WaitGroup

	reads     gate        // calls that end by themselves, whatever the disk does to writes
	writes    gate        // calls that a failure may park for ever
	tidy      atomic.Bool // the last thing said of the mount is that it is in good order: see closePebble
	closeOnce sync.Once
	closeErr  error
	closing   chan struct{} // closed when Close begins

	viewing sync.Mutex // held for moments, and while a view is made or closed
	views   map[*View]struct{}
}

// Get looks a blob up. It allocates nothing but what Pebble does: a few bytes for each table that it asks. A failed index
// still answers. Errors: blob.ErrNotFound as it is, ErrCorrupt, ErrClosed, or what the disk returned.
func (x *Index) Get(h blob.Hash) (Entry, error) {
	if !x.reads.enter() {
		return Entry{}, ErrClosed
	}
	defer x.reads.leave()
	key := x.keys.Get().(*[blobKeySize]byte)
	key[0] = tagBlob
	copy(key[1:], h[:])
	v, closer, err := x.db.Get(key[:])
	if err != nil {
		x.keys.Put(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return Entry{}, blob.ErrNotFound
		}
		return Entry{}, readError("get "+h.Short(), err)
	}
	e, why := decodeEntry(v)
	err = closer.Close()
	if why != "" {
		err = &RowError{Key: append([]byte(nil), key[:]...), Reason: why}
	}
	x.keys.Put(key)
	if err != nil {
		return Entry{}, readError("get "+h.Short(), err)
	}
	return e, nil
}

// readError wraps what a read returned.
func readError(what string, err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("index: %s: %w: %w", what, ErrCorrupt, err)
	}
	return fmt.Errorf("index: %s: %w", what, err)
}

// Sync makes all that was committed durable. Like Commit it may never return once the index failed.
func (x *Index) Sync() error {
	if !x.writes.enter() {
		return ErrClosed
	}
	defer x.writes.leave()
	if err := x.Err(); err != nil {
		return err
	}
	return x.sync()
}

func (x *Index) sync() error {
	if err := x.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("index: sync: %w", err)
	}
	return nil
}

// Failed is closed when the index latches a failure: nothing that is committed from then on will ever be written. Reads
// go on.
func (x *Index) Failed() <-chan struct{} { return x.guard.Failed() }

// Err is the failure that was latched, ErrFailed with its cause, or nil.
func (x *Index) Err() error {
	select {
	case <-x.guard.Failed():
		return fmt.Errorf("%w: %w", ErrFailed, x.guard.Err())
	default:
		return nil
	}
}

// watch reports the failure, if there is one before Close.
func (x *Index) watch() {
	select {
	case <-x.closing:
	case <-x.Failed():
	}
	if err := x.Err(); err != nil {
		x.log.Error("index: no more changes are taken", "err", err)
		if x.onFailure != nil {
			x.onFailure(err)
		}
	}
}

// Close waits for calls that are under way, makes all that was committed durable, and closes the database. Once the
// index failed, before or during this, it does none of that and returns the failure: what Pebble holds is left to it, but
// for its files, its lock and its cache. Those are given back when Close returns, so that the folder can be moved, or
// opened again; later only when a reader is still inside, or the disk does not answer within a second. Later calls return
// the same.
func (x *Index) Close() error {
	x.closeOnce.Do(func() { x.closeErr = x.close() })
	return x.closeErr
}

func (x *Index) close() error {
	close(x.closing)
	x.watcher.Wait()
	x.onFailure = nil // goroutines that stay parked must not hold on to whoever is told
	x.shut()
	for _, g := range []*gate{&x.reads, &x.writes} {
		select {
		case <-g.quiet:
		case <-x.Failed():
		}
	}
	x.closeViews()
	err := x.closePebble()
	if failure := x.Err(); failure != nil {
		x.abandon()
		return fmt.Errorf("index: close: %w", failure)
	}
	x.cache.Unref()
	if err = errors.Join(err, x.monitor.Close()); err != nil {
		return fmt.Errorf("index: close: %w", err)
	}
	return nil
}

// shut turns new callers away.
func (x *Index) shut() {
	x.reads.shut()
	x.writes.shut()
}

// closePebble closes the database, unless the index failed: then Pebble would wait for ever. When that happens midway,
// the goroutine is left behind.
func (x *Index) closePebble() error {
	if x.Err() != nil || x.db == nil { // in this order: an Open that was left behind may be setting db
		return nil
	}
	done := make(chan error, 1)
	go func() {
		var err error
		if x.tidy.Load() {
			// Only what is in tables can be told from damage: a log without its end could be that of a power cut.
			err = x.db.Flush()
		}
		err = errors.Join(err, x.db.Close())
		if err == nil && x.tidy.Load() {
			err = x.dropOlder()
		}
		done <- errors.Join(err, x.lock.Close())
	}()
	select {
	case err := <-done:
		return err
	case <-x.Failed():
		return nil
	}
}

// dropOlder removes the manifests that are not in use, once the database is closed. Pebble keeps one, which may be torn:
// that could not be told from damage either.
func (x *Index) dropOlder() error {
	current, err := atomicfs.ReadMarker(x.guard, x.dir, "manifest")
	if err != nil || current == "" {
		return err
	}
	names, err := x.guard.List(x.dir)
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") && name != current {
			err = errors.Join(err, x.guard.Remove(x.guard.PathJoin(x.dir, name)))
		}
	}
	return err
}

// releaseWait is how long calls that the disk has not answered yet may hold up the end of a failed index.
const releaseWait = time.Second

// abandon takes from Pebble what it will not give back: files and lock, and the cache.
func (x *Index) abandon() {
	select {
	case <-x.reads.quiet:
		select {
		case <-x.guard.Sever():
		case <-time.After(releaseWait):
		}
	default:
		go func() { // it ends when the last reader has left
			<-x.reads.quiet
			x.guard.Sever()
		}()
	}
	x.cache.Reserve(int(x.cache.MaxSize())) // nothing fits any more, so that all of it is freed
	x.cache.Unref()
	_ = x.monitor.Close() // it has no error of its own
}
