package caching

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/stores"
)

// kind is the Name of every store of this package, as clients know it.
const kind = "caching"

// Options are the settings of a Store. Zero means the default.
type Options struct {
	Cache, Origin stores.Store // closed with the Store that New returns
	Component     string       // label of metrics

	NegativeTTL  time.Duration // how long "not found" is remembered; default 5 s, negative: not at all
	FillTimeout  time.Duration // from the request to the origin to its last byte; default 1 min
	AdmitTimeout time.Duration // for the cache to take a blob, before it passes by; default 5 s
	MaxFills     int           // at once, with a buffer of 2 MiB each, and as many for readers of what the cache does not keep; default 64

	Logger *slog.Logger // default: slog.Default()
}

// The defaults of Options.
const (
	DefaultNegativeTTL  = 5 * time.Second
	DefaultFillTimeout  = time.Minute
	DefaultAdmitTimeout = 5 * time.Second
	DefaultMaxFills     = 64
)

// logInterval is how often one kind of trouble is logged.
const logInterval = 10 * time.Second

// Store is a cache over an origin.
type Store struct {
	cache, origin stores.Store
	opener        stores.Opener // of the origin, or nil
	component     string
	fillTimeout   time.Duration
	admitTimeout  time.Duration

	log                       *slog.Logger
	cacheTrouble, fillTrouble rate.Sometimes

	missing  *negative       // nil: off
	bufs     *bufpool.Budget // of fills
	passing  *bufpool.Budget // of readers of what the cache does not keep: its sibling
	lanes    *blob.Lanes     // that fills are hashed on
	pieces   *bufpool.Pool   // for readers of what it keeps, who began before it did
	pinned   atomic.Int64    // handles over bodies of fills
	counters counters

	root    context.Context // of fills; ends with Close
	stop    context.CancelFunc
	closed  atomic.Bool    // set under mu
	running sync.WaitGroup // of fills

	mu    sync.Mutex // taken by misses and changes only
	fills map[blob.Hash]*fill
}

// New makes a store.
func New(o Options) *Store {
	s := &Store{
		cache:        o.Cache,
		origin:       o.Origin,
		component:    o.Component,
		fillTimeout:  o.FillTimeout,
		admitTimeout: o.AdmitTimeout,
		log:          o.Logger,
		cacheTrouble: rate.Sometimes{First: 1, Interval: logInterval},
		fillTrouble:  rate.Sometimes{First: 1, Interval: logInterval},
		fills:        map[blob.Hash]*fill{},
	}
	s.opener, _ = stores.As[stores.Opener](o.Origin)
	if s.fillTimeout <= 0 {
		s.fillTimeout = DefaultFillTimeout
	}
	if s.admitTimeout <= 0 {
		s.admitTimeout = DefaultAdmitTimeout
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.log = s.log.With("store", kind, "component", o.Component)
	switch {
	case o.NegativeTTL == 0:
		s.missing = newNegative(DefaultNegativeTTL)
	case o.NegativeTTL > 0:
		s.missing = newNegative(o.NegativeTTL)
	}
	if o.MaxFills <= 0 {
		o.MaxFills = DefaultMaxFills
	}
	s.bufs = bufpool.NewBudget(blob.MaxSize, o.MaxFills)
	s.passing = s.bufs.Sibling(o.MaxFills)
	s.lanes = blob.NewLanes()
	s.pieces = bufpool.New(holdBack, 64)
	s.root, s.stop = context.WithCancel(context.Background())
	return s
}

// Name implements stores.Store: "caching", whatever the component.
func (s *Store) Name() string { return kind }

// Component is the label that the store was given.
func (s *Store) Component() string { return s.component }

// Cache is the store that is asked first.
func (s *Store) Cache() stores.Store { return s.cache }

// Origin is the store that fills come from.
func (s *Store) Origin() stores.Store { return s.origin }

// ready is the error of a call that cannot be answered.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("caching: %w", err)
	}
	return nil
}

var errClosed = fmt.Errorf("caching: closed: %w", blob.ErrUnavailable)

// Get implements stores.Store.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, err := s.get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: kind, Elapsed: time.Since(start)})
	return handle, err
}

func (s *Store) get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	handle, err := s.cache.Get(ctx, h)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		if ctx.Err() != nil {
			s.counters.misses.Add(1)
			return nil, fmt.Errorf("caching: get %s: %w", h.Short(), ctx.Err())
		}
		s.cacheFailed("get", h, err)
	}
	here := err == nil
	if !here {
		handle, here, err = s.miss(ctx, h)
	}
	if here {
		s.counters.hit(handle.Size(), time.Since(start))
	} else {
		s.counters.misses.Add(1)
	}
	return handle, err
}

// miss gets what the cache did not have when it was asked; here says that no origin was needed for it after all.
func (s *Store) miss(ctx context.Context, h blob.Hash) (handle blob.Handle, here bool, err error) {
	if handle := s.arrived(h); handle != nil {
		return handle, true, nil
	}
	if s.missing.has(h) {
		s.counters.negativeHits.Add(1)
		return nil, false, errRemembered(h)
	}
	return s.wait(ctx, h)
}

func errRemembered(h blob.Hash) error {
	return fmt.Errorf("caching: get %s: the origin did not have it a moment ago: %w", h.Short(), blob.ErrNotFound)
}

// Has implements stores.Store: the cache, then the origin.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	has, err := s.cache.Has(ctx, h)
	if has && err == nil {
		return true, nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return false, fmt.Errorf("caching: has %s: %w", h.Short(), ctx.Err())
		}
		s.cacheFailed("has", h, err)
	}
	if s.missing.has(h) {
		s.counters.negativeHits.Add(1)
		return false, nil
	}
	since := s.missing.mark(h)
	s.counters.originInFlight.Add(1)
	has, err = s.origin.Has(ctx, h)
	s.counters.originInFlight.Add(-1)
	if err == nil && !has {
		s.missing.add(h, since)
	}
	return has, err
}

// Put implements stores.Store: the origin, and once that has the blob, the cache, whose errors are only counted.
func (s *Store) Put(ctx context.Context, v blob.Verified, k blob.Kind) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if v.Size() == 0 {
		return fmt.Errorf("caching: put: %w", blob.ErrEmpty)
	}
	if err := s.origin.Put(ctx, v, k); err != nil {
		return err
	}
	s.missing.clear(v.Hash())
	s.part(v.Hash())
	if err := s.cache.Put(ctx, v, k); err != nil {
		s.cacheFailed("put", v.Hash(), err)
	}
	return nil
}

// Delete implements stores.Store: the origin, then the cache, which loses the blob even where the origin refuses.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	atOrigin := s.origin.Delete(ctx, h)
	if admitted := s.part(h); admitted != nil {
		select {
		case <-admitted:
		case <-ctx.Done():
			return errors.Join(atOrigin, fmt.Errorf("caching: delete %s: %w", h.Short(), ctx.Err()))
		}
	}
	return errors.Join(atOrigin, s.cache.Delete(ctx, h))
}

// Close implements stores.Store: it ends the fills, waits for them, and closes the cache and the origin.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed.Store(true)
	s.mu.Unlock()
	s.stop()
	s.running.Wait()
	return errors.Join(s.cache.Close(), s.origin.Close())
}

// Volatile implements stores.Volatile: a Put is what the origin promised.
func (s *Store) Volatile() string { return stores.VolatileOf(s.origin) }

// Pinned implements stores.Pinner: handles over fills' buffers, and those of the cache and the origin.
func (s *Store) Pinned() int {
	return int(s.pinned.Load()) + stores.Pinned(s.cache, s.origin)
}

// cacheFailed notes an error of the cache that no client sees. A full cache is no error: blobs pass by.
func (s *Store) cacheFailed(call string, h blob.Hash, err error) {
	if errors.Is(err, blob.ErrFull) {
		return
	}
	s.counters.cacheErrors.Add(1)
	s.cacheTrouble.Do(func() {
		s.log.Warn("the cache failed; blobs pass through", "call", call, "blob", h.Short(), "err", err)
	})
}

var (
	_ stores.Store  = (*Store)(nil)
	_ stores.Pinner = (*Store)(nil)
)
