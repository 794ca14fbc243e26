package dbbacked

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/stores"
)

// Store is a store with a catalogue of what it has.
type Store struct {
	o     Options
	name  string
	log   *slog.Logger
	child stores.Store
	cat   metadata.Catalogue
	mode  mode

	lister  stores.Lister    // the child's, if it says what changes too; or nil
	journal *journal.Journal // or nil: the catalogue is told by calls alone

	health  health
	asks    *breaker.Breaker // questions that calls ask of the catalogue
	seen    seen
	touches touches // without a journal
	misses  chan blob.Hash
	streams streams
	reads   *bufpool.Budget
	follow  followStats

	stopping context.Context
	stop     context.CancelFunc
	workers  sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// mode is what write_through and write_behind do each in its own way.
type mode interface {
	has(ctx context.Context, h blob.Hash) (bool, error)
	put(ctx context.Context, v blob.Verified, kind blob.Kind) error
	remove(ctx context.Context, h blob.Hash) error
	wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error)
	missing(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error)
	// gone is told of a blob that a Get missed and that the catalogue has as stored.
	gone(ctx context.Context, h blob.Hash) error
}

// Open makes a store over o.Store and o.Catalogue, which may be away. When it fails it closes neither. Errors:
// ErrOptions, and those of journal.Open.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		o: o, name: stores.KindName("db_backed", o.Name), child: o.Store, cat: o.Catalogue,
		asks:  breaker.New(breaker.Options{Name: "catalogue", Failures: 2}),
		reads: bufpool.NewBudget(blob.MaxSize, maxReads),
	}
	s.log = o.Logger.With("store", s.name)
	s.health.log = s.log
	s.streams.init()
	if o.DeleteOnMiss {
		s.misses = make(chan blob.Hash, maxMisses)
	}
	if o.Tracking != metadata.TrackNone {
		s.seen.init()
	}
	if err := s.openJournal(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	s.mode = &through{Store: s, keys: newKeys()}
	if o.Sync == WriteBehind {
		s.mode = &behind{Store: s}
	}
	s.start()
	return s, nil
}

// start runs the goroutines.
func (s *Store) start() {
	s.stopping, s.stop = context.WithCancel(context.Background())
	switch {
	case s.journal != nil:
		s.workers.Go(s.settleLoop)
		if s.lister != nil {
			s.workers.Go(s.compareLoop)
		}
	case s.o.Tracking != metadata.TrackNone:
		s.workers.Go(s.touchLoop)
	}
	if s.o.Tracking != metadata.TrackNone {
		s.workers.Go(s.minuteLoop)
	}
	if s.misses != nil {
		s.workers.Go(s.missLoop)
	}
	s.workers.Go(s.greet)
}

// greet asks the catalogue one question, so that the log says at the start what would go wrong later.
func (s *Store) greet() {
	ctx, cancel := context.WithTimeout(s.stopping, time.Minute)
	defer cancel()
	_, err := s.cat.Stored(ctx, []blob.Hash{{}})
	s.report(err)
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Unwrap implements stores.Unwrapper.
func (s *Store) Unwrap() stores.Store { return s.child }

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) { return s.mode.has(ctx, h) }

// Get implements stores.Store: from the store below.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	s.seen.expect(h)
	handle, err := s.child.Get(ctx, h)
	s.asked(h, err)
	blob.TraceOf(ctx).AddOver(s.name)
	return handle, err
}

// Open implements stores.Opener: from the store below.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	st, err := stores.Open(ctx, s.child, h)
	s.asked(h, err)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return st, err
}

// asked notes what a Get came to.
func (s *Store) asked(h blob.Hash, err error) {
	switch {
	case err == nil:
		if s.o.Tracking != metadata.TrackNone {
			s.touch(h)
		}
	case s.misses != nil && errors.Is(err, blob.ErrNotFound):
		s.missed(h)
	}
}

// Put implements stores.Store.
func (s *Store) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	return s.mode.put(ctx, v, kind)
}

// Delete implements stores.Store.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error { return s.mode.remove(ctx, h) }

// Wants implements stores.Wanter.
func (s *Store) Wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	return s.mode.wants(ctx, h)
}

// MissingForStream implements stores.StreamKnower.
func (s *Store) MissingForStream(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error) {
	return s.mode.missing(ctx, sd)
}

// Block implements stores.Blocker: in the catalogue.
func (s *Store) Block(ctx context.Context, hashes []blob.Hash) error {
	if err := s.cat.Block(ctx, hashes); err != nil {
		return s.failedCall(ctx, fmt.Sprintf("block %d blobs", len(hashes)), err)
	}
	return nil
}

// Close implements stores.Store. What the catalogue was not told yet stays in the journal.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stop()
		s.workers.Wait()
		errs := []error{s.child.Close()}
		if s.journal != nil {
			errs = append(errs, s.journal.Close())
		}
		s.closeErr = errors.Join(append(errs, s.cat.Close())...)
	})
	return s.closeErr
}

// status asks the catalogue about one blob, for a call that waits for it.
func (s *Store) status(ctx context.Context, h blob.Hash) (st metadata.Status, err error) {
	err = s.ask(ctx, func(ctx context.Context) error {
		st, err = s.cat.Status(ctx, h)
		return err
	})
	return st, err
}

// ask asks the catalogue a question for a call that waits for the answer, but not for long, and not at all while the
// catalogue keeps failing.
func (s *Store) ask(ctx context.Context, question func(context.Context) error) error {
	done, err := s.asks.Allow()
	if err != nil {
		return fmt.Errorf("%w: %w", metadata.ErrUnavailable, err)
	}
	short, cancel := context.WithTimeout(ctx, s.o.AskTimeout)
	defer cancel()
	err = question(short)
	if err != nil && ctx.Err() != nil { // says nothing of the catalogue
		done(context.Canceled)
		return err
	}
	done(err)
	s.report(err)
	return err
}

// failed is the error of a call for one blob that the catalogue has failed.
func (s *Store) failed(ctx context.Context, call string, h blob.Hash, err error) error {
	return s.failedCall(ctx, call+" "+h.Short(), err)
}

// failedCall is the error of a call that the catalogue has failed.
func (s *Store) failedCall(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %s: %w", s.name, call, context.Cause(ctx))
	}
	s.report(err)
	return fmt.Errorf("%s: %s: %w: %w", s.name, call, blob.ErrUnavailable, err)
}

// ready is the error of a call whose context has ended.
func (s *Store) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", s.name, context.Cause(ctx))
	}
	return nil
}

var (
	_ stores.Store        = (*Store)(nil)
	_ stores.Opener       = (*Store)(nil)
	_ stores.Unwrapper    = (*Store)(nil)
	_ stores.Wanter       = (*Store)(nil)
	_ stores.StreamKnower = (*Store)(nil)
	_ stores.Blocker      = (*Store)(nil)
)
