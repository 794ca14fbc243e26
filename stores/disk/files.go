package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/evict"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/sharded"
)

// The names within the mount.
const (
	hiddenDir = ".prism"
	indexDir  = "index"
	lockFile  = "lock"
)

const (
	sendBuffer  = 64 << 10 // bytes that a handle reads at once: each slow reader of a cold file holds them
	idleBuffers = 64       // of those, kept for reuse
	maxSuspects = 1024     // blobs that wait to be taken for unproven
	tickEvery   = time.Second
)

// errClosed: the store is closed, or being closed.
var errClosed = fmt.Errorf("disk: closed: %w", blob.ErrUnavailable)

// files is the sharded mode.
type files struct {
	root    string
	fsys    diskfs.FS
	log     *slog.Logger
	sync    engine.Sync
	policy  evict.Policy
	keepAll bool // evict nothing

	lock io.Closer
	dir  *sharded.Dir
	ix   *index.Index
	com  *committer

	seq      sequence
	locks    *locks
	open     openTable
	touched  touches
	unsynced unsynced
	space    space
	buffers  *bufpool.Pool
	proofs   *bufpool.Budget
	lanes    *blob.Lanes // that proofs are hashed on
	stats    counters

	complete  atomic.Bool   // some walk of this index has ended: no file from before it is unknown
	walked    chan struct{} // closed when the walk of this run has ended
	evictFrom uint64        // of the evictor alone: the order below it was judged
	suspects  chan blob.Hash
	evictNow  chan struct{}
	flushNow  chan struct{}
	flushing  sync.Mutex // held during a flush; taken before any of locks

	calls    sync.RWMutex // read-held by calls; Close waits for them with it
	closed   atomic.Bool
	stopping context.Context
	stop     context.CancelFunc
	workers  sync.WaitGroup // all but the committer
	closing  sync.Once
	closeErr error

	watch  watch
	beside atomic.Pointer[func() int64] // see ChargeBeside
}

// openFiles opens the sharded mode in o.MountPoint, with folders of prefix characters.
func openFiles(o Options, prefix int) (backend, error) {
	began := time.Now()
	if o.MaxSize > 0 && o.MaxSize < leastSize {
		return nil, fmt.Errorf("%w: max_size %d is less than %d, which the index and a few blobs need",
			ErrOptions, o.MaxSize, leastSize)
	}
	s, err := newFiles(o, prefix)
	if err != nil {
		return nil, err
	}
	if err := s.takeFolder(prefix); err != nil {
		return nil, err
	}
	if err := s.openIndex(o.IndexCache); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.ix.Close(), s.lock.Close())
	}
	s.start()
	s.stats.openTime = time.Since(began)
	total := s.com.totals()
	s.log.Info("one-file-a-blob store is open", "dir", s.root, "sharding_size", prefix, "blobs", total.LiveBlobs,
		"bytes", total.LiveBytes, "max_size", o.MaxSize, "sync", s.sync.String(), "took", s.stats.openTime.Round(time.Millisecond))
	return s, nil
}

// FilesIndex is the folder of the index of a sharded store in root. Whoever opens it holds LockFiles.
func FilesIndex(root string) string { return filepath.Join(root, hiddenDir, indexDir) }

// LockFiles takes the lock that a sharded store in root has while it is open. A wrapped *diskfs.LockedError says who has
// it. Where no store of this program ever was, what the lock needs is made.
func LockFiles(fsys diskfs.FS, root string) (io.Closer, error) {
	hidden := filepath.Join(root, hiddenDir)
	err := fsys.Mkdir(hidden)
	if err == nil {
		err = fsys.SyncDir(root)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make %s: %w%s", hidden, err, mount.Hint(err))
	}
	return mount.TakeLock(fsys, root, filepath.Join(hiddenDir, lockFile))
}

func newFiles(o Options, prefix int) (*files, error) {
	policy, err := evict.New(o.Eviction)
	if err != nil {
		return nil, err
	}
	mode, err := engine.ParseSync(o.Sync)
	if err != nil {
		return nil, err
	}
	s := &files{
		root:     o.MountPoint,
		fsys:     o.FS,
		log:      o.Logger,
		sync:     mode,
		policy:   policy,
		keepAll:  o.KeepAll,
		com:      newCommitter(),
		locks:    newLocks(),
		open:     openTable{m: map[blob.Hash]*openFile{}},
		unsynced: unsynced{m: map[blob.Hash]*sharded.Written{}},
		space:    space{maxSize: o.MaxSize, minFree: o.MinFree, prefix: prefix, changed: make(chan struct{})},
		buffers:  bufpool.New(sendBuffer, idleBuffers),
		proofs:   bufpool.NewBudget(blob.MaxSize, max(4, 2*runtime.GOMAXPROCS(0))),
		lanes:    blob.NewLanes(),
		walked:   make(chan struct{}),
		suspects: make(chan blob.Hash, maxSuspects),
		evictNow: make(chan struct{}, 1),
		flushNow: make(chan struct{}, 1),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.stats.init()
	return s, nil
}

// takeFolder makes the folders that are missing, and takes the lock.
func (s *files) takeFolder(prefix int) error {
	if err := mount.EnsureFolder(s.fsys, s.root); err != nil {
		return err
	}
	var err error
	if s.lock, err = LockFiles(s.fsys, s.root); err != nil {
		return err
	}
	if s.dir, err = sharded.Open(s.fsys, s.root, prefix); err != nil {
		return errors.Join(fmt.Errorf("%w%s", err, mount.Hint(err)), s.lock.Close())
	}
	return nil
}

// openIndex opens the index. A damaged one is deleted: the walk makes another.
func (s *files) openIndex(cache int64) error {
	dir := FilesIndex(s.root)
	o := index.Options{
		FS: pebblefs.New(s.fsys), Dir: dir, CacheBytes: cache, Logger: s.log,
		OnFailure: func(err error) {
			s.fault("index", err)
			s.log.Error("the index has failed; hits go on, everything else passes through until a restart", "err", err)
		},
	}
	var err error
	s.ix, err = index.Open(o)
	if errors.Is(err, index.ErrCorrupt) {
		s.log.Error("the index is damaged; it is deleted, and made anew from the files", "dir", dir, "err", err)
		if err = diskfs.RemoveAll(s.fsys, dir); err == nil {
			s.ix, err = index.Open(o)
		}
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, mount.Hint(err))
	}
	return nil
}

// load reads the totals and notes, durably, that the store is in use.
func (s *files) load() error {
	meta, _, err := s.ix.Meta()
	if err != nil {
		return err
	}
	rows, err := s.ix.Segments()
	if err != nil {
		return err
	}
	total := index.SegmentRow{ID: totalsID, State: index.StateActive}
	for _, row := range rows {
		if row.ID == totalsID {
			total = row
		}
	}
	s.seq.raise(meta.NextSeq)
	s.complete.Store(total.State == index.StateSealed)
	s.com.total = total
	b := s.ix.NewBatch()
	b.SetSegment(total)
	b.SetMeta(index.Meta{NextSeq: meta.NextSeq}) // not clean any more
	if err := b.Commit(true); err != nil {
		return fmt.Errorf("%w%s", err, mount.Hint(err))
	}
	s.space.setLive(total)
	if s.complete.Load() && !meta.Clean {
		s.space.setSlack(true)
	}
	s.touched.grow(total.LiveBlobs)
	s.measure()
	return nil
}

// start runs the goroutines.
func (s *files) start() {
	go s.commitLoop() // may be left behind for good, inside a failed index: see commit
	s.workers.Go(s.walkLoop)
	s.workers.Go(s.evictLoop)
	s.workers.Go(s.keepLoop)
}

// enter begins a call, or says why it cannot be served; leave ends it.
func (s *files) enter(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("disk: %w", context.Cause(ctx))
	}
	s.calls.RLock()
	if s.closed.Load() {
		s.calls.RUnlock()
		return errClosed
	}
	return nil
}

func (s *files) leave() { s.calls.RUnlock() }

// Close ends the goroutines, makes durable what was put, except with sync never, and gives the lock back. Handles that
// are out stay good.
func (s *files) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *files) close() error {
	s.closed.Store(true)
	s.stop()
	s.calls.Lock() // calls that are under way end first
	defer s.calls.Unlock()
	s.workers.Wait()
	err := s.finish()
	close(s.com.stop)
	select {
	case <-s.com.idle:
	case <-s.ix.Failed(): // it may be parked inside the index
	}
	s.unsynced.closeAll()
	return errors.Join(err, s.ix.Close(), s.lock.Close())
}

// finish leaves nothing to do for the next open.
func (s *files) finish() error {
	if err := s.ix.Err(); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	clean := true
	select {
	case <-s.walked:
	default:
		clean = false
	}
	return s.commit(&change{sync: true, meta: func(m *index.Meta) { m.Clean = clean }})
}

// poke wakes a goroutine that listens on c; pokes that it has not seen yet count once.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
