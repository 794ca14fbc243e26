package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/evict"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// errClosed: the engine is closed, or being closed.
var errClosed = fmt.Errorf("engine: closed: %w", blob.ErrUnavailable)

// Engine is one open mount. All methods are safe for concurrent use.
type Engine struct {
	o      Options
	log    *slog.Logger
	mnt    *mount.Mount
	ix     *index.Index
	policy evict.Policy
	bufs   *segments.Buffers
	files  *segments.Files

	segs segTable
	hot  hotTable
	com  *committer
	act  active
	seq  atomic.Uint64 // last sequence given out

	nextID, ceiling uint64 // of the roller alone, once Open is done
	evictFrom       uint64 // of the evictor alone: the order below it was judged

	// Space, in bytes; see space.go.
	charged, indexBytes, aside, limit, fsFree, pending atomic.Int64
	measured                                           atomic.Bool // limit is known
	// What the rows of all segments add up to.
	blobs, liveBytes, sdBytes atomic.Int64

	short     atomic.Int64 // puts that wait for room
	lossMu    sync.Mutex
	loss      error        // see takeLoss
	flushing  sync.Mutex   // held during a flush
	marked    uint64       // of the committer alone: Meta.NextSeq, as the last flush set it
	writers   sync.RWMutex // read-held by puts and deletes; Close waits for them with it
	late      late
	deadMu    sync.Mutex
	deadSegs  map[segments.ID]*seg // the reclaimer's input
	condemned chan condemnation

	askMu      sync.Mutex
	asked      bool // that the index be made anew, under askMu
	watch      watch
	beside     beside
	lost       []index.SegmentRow // rows whose file is missing
	leftMu     sync.Mutex
	left       map[segments.ID]struct{} // segments that recovery has yet to finish
	recovered  chan struct{}
	rebuilding bool   // the index was empty under segments that are not
	proof      []byte // of recovery alone: what payloads are read into

	flushNow, rollNow, evictNow, reclaimNow chan struct{}

	closed   atomic.Bool
	stopping chan struct{}
	workers  sync.WaitGroup // all but the committer
	closing  sync.Once
	closeErr error

	stats counters
}

// recoverWait is from when on Open no longer waits for what the last run left over, counted from its begin: that goes on
// behind.
const recoverWait = 500 * time.Millisecond

// Open opens the mount in o.Dir, making it where the folder is empty, and takes its lock. ctx bounds Open alone.
// Errors: a *diskfs.LockedError when another process has the mount, and whatever else package mount and package index
// refuse; nothing on disk is harmed then.
func Open(ctx context.Context, o Options) (*Engine, error) {
	began := time.Now()
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e, left, since, err := openMount(o)
	if errors.Is(err, index.ErrCorrupt) { // found behind index.Open, and asked to be made anew by now
		e, left, since, err = openMount(o)
	}
	if err != nil {
		return nil, err
	}
	e.start(left, since)
	e.waitShortly(ctx, began.Add(recoverWait))
	e.stats.openTime.Store(int64(time.Since(began)))
	e.log.Info("segment store is open", "dir", o.Dir, "blobs", e.blobs.Load(), "bytes", e.liveBytes.Load(),
		"limit", e.limit.Load(), "sync", o.Sync.String(), "took", time.Since(began).Round(time.Millisecond))
	return e, nil
}

// openMount opens mount and index, and reads what the index says of the segments.
func openMount(o Options) (e *Engine, left []leftover, since uint64, err error) {
	e = newEngine(o)
	if e.policy, err = evict.New(o.Eviction); err != nil {
		return nil, nil, 0, err
	}
	e.mnt, err = mount.Open(o.FS, o.Dir, mount.Superblock{SegmentSize: o.SegmentSize, IndexFormat: uint32(index.FormatVersion)})
	if err != nil {
		return nil, nil, 0, fmt.Errorf("engine: %w", err)
	}
	if e.ix, err = e.openIndex(); err != nil {
		return nil, nil, 0, errors.Join(fmt.Errorf("engine: %w", err), e.mnt.Close())
	}
	go e.commitLoop() // may be left behind for good, inside a failed index: see commit
	left, since, err = e.load()
	if err != nil {
		err = fmt.Errorf("engine: open %s: %w", o.Dir, err)
		if errors.Is(err, index.ErrCorrupt) {
			err = errors.Join(err, e.askRebuild(err))
		}
		e.stopCommitter()
		return nil, nil, 0, errors.Join(err, e.ix.Close(), e.mnt.Close())
	}
	return e, left, since, nil
}

func newEngine(o Options) *Engine {
	e := &Engine{
		o:          o,
		log:        o.Logger,
		bufs:       segments.NewBuffers(coldBuffers),
		files:      segments.NewFiles(o.OpenSegments),
		segs:       segTable{m: map[segments.ID]*seg{}},
		com:        newCommitter(),
		deadSegs:   map[segments.ID]*seg{},
		condemned:  make(chan condemnation, 1024),
		left:       map[segments.ID]struct{}{},
		recovered:  make(chan struct{}),
		flushNow:   make(chan struct{}, 1),
		rollNow:    make(chan struct{}, 1),
		evictNow:   make(chan struct{}, 1),
		reclaimNow: make(chan struct{}, 1),
		stopping:   make(chan struct{}),
	}
	e.act.ready = make(chan struct{})
	e.stats.init()
	return e
}

// load reads what the index says of the segments and notes that the mount is in use.
func (e *Engine) load() (left []leftover, since uint64, err error) {
	meta, known, err := e.ix.Meta()
	if err != nil {
		return nil, 0, err
	}
	if err := e.claimIDs(); err != nil {
		return nil, 0, err
	}
	if left, err = e.loadSegments(meta.Clean); err != nil {
		return nil, 0, err
	}
	for _, l := range left {
		e.left[l.seg.ID()] = struct{}{}
	}
	e.marked = meta.NextSeq
	e.rebuilding = !known // every session begins with a durable Meta
	err = e.commit(&change{sync: true, apply: func(g *group) {
		g.batch.SetMeta(index.Meta{NextSeq: meta.NextSeq}) // not clean any more
	}})
	if err != nil {
		return nil, 0, errors.Join(err, e.ix.Err())
	}
	e.measureAside()
	e.measure()
	e.trimAside()
	if e.limit.Load() < leastSize(e.o.SegmentSize) {
		e.log.Warn("the file system has hardly any room; blobs pass through until there is",
			"dir", e.o.Dir, "free", e.fsFree.Load(), "limit", e.limit.Load(), "needs", leastSize(e.o.SegmentSize))
	}
	return left, meta.NextSeq, nil
}

// start runs the goroutines.
func (e *Engine) start(left []leftover, since uint64) {
	e.workers.Go(e.rollLoop)
	e.workers.Go(e.flushLoop)
	e.workers.Go(e.evictLoop)
	e.workers.Go(e.reclaimLoop)
	e.workers.Go(e.janitor)
	e.workers.Go(func() { e.recoverLoop(left, since) })
}

// waitShortly gives recovery a moment, so that after an ordinary crash nothing is missing when Open returns.
// What Open took before that counts: a slow disk must not make it slower still.
func (e *Engine) waitShortly(ctx context.Context, until time.Time) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	_ = e.WaitRecovered(ctx)
}

// usable is the reason why a call cannot be served, or nil.
func (e *Engine) usable(ctx context.Context) error {
	if e.closed.Load() {
		return errClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("engine: %w", context.Cause(ctx))
	}
	return nil
}

func (e *Engine) running() bool { return !e.closed.Load() && e.ix.Err() == nil }

// sleep waits, and says whether the engine still runs.
func (e *Engine) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.stopping:
		return false
	}
}

// poke wakes a goroutine that listens on c; pokes that it has not seen yet count once.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
