// Package singleflight joins Gets of one blob that run at the same time into one Get of the store under it:
//
//	store:
//	  singleflight:
//	    component: edge
//	    store: …
//
// A flight runs on its own goroutine and belongs to all who wait for it: the first one's deadline ends nobody else's
// wait, and only when the last has left is the flight cancelled. Everybody gets a handle of their own; the handle of
// the store below is released with the last of them.
//
// A Put or a Delete parts what comes after it from the flights before it, so that a Get sees every change that was
// done when it began.
package singleflight

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Options are the settings of a Store.
type Options struct {
	Store     stores.Store // closed with the Store that New returns
	Component string       // follows "singleflight-" in Name; empty: the kind alone
}

// Store joins Gets.
type Store struct {
	name    string
	child   stores.Store
	running sync.WaitGroup // of flights

	mu      sync.Mutex
	closed  bool
	flights map[blob.Hash]*flight // the one that a new Get joins
	stop    map[*flight]struct{}  // all that run, joinable or not
}

// flight is one Get of the child.
type flight struct {
	cancel  context.CancelFunc
	waiters int           // under Store.mu
	landed  bool          // under Store.mu
	done    chan struct{} // closed once the fields below are set
	shared  *refcount.Shared
	err     error
	hops    []blob.Hop
}

// New makes a store over o.Store.
func New(o Options) *Store {
	return &Store{
		name:    stores.KindName("singleflight", o.Component),
		child:   o.Store,
		flights: map[blob.Hash]*flight{},
		stop:    map[*flight]struct{}{},
	}
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Unwrap implements stores.Unwrapper.
func (s *Store) Unwrap() stores.Store { return s.child }

// Get implements stores.Store.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, err := s.get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return handle, err
}

func (s *Store) get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	f, err := s.join(ctx, h)
	if err != nil {
		return nil, err
	}
	defer s.leave(h, f)
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: wait for %s: %w", s.name, h.Short(), ctx.Err())
	}
	blob.TraceOf(ctx).Add(f.hops...)
	if f.err != nil {
		return nil, f.err
	}
	return f.shared.Handle(), nil
}

// join gives the flight for h, a new one if there is none. The caller leaves it.
func (s *Store) join(ctx context.Context, h blob.Hash) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, s.errClosed()
	}
	f := s.flights[h]
	if f == nil {
		var inner context.Context
		f = &flight{done: make(chan struct{})}
		inner, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		s.flights[h] = f
		s.stop[f] = struct{}{}
		s.running.Go(func() { s.fly(inner, h, f) })
	}
	f.waiters++
	return f, nil
}

// leave gives up one wait. The last to leave takes with it the flight, or what the flight brought.
func (s *Store) leave(h blob.Hash, f *flight) {
	s.mu.Lock()
	f.waiters--
	last, landed := f.waiters == 0, f.landed
	if last {
		s.forgetLocked(h, f)
	}
	s.mu.Unlock()
	switch {
	case last && !landed:
		f.cancel()
	case last && f.shared != nil:
		f.shared.Release()
	}
}

// fly is the flight.
func (s *Store) fly(ctx context.Context, h blob.Hash, f *flight) {
	defer f.cancel()
	ctx, tr := blob.WithTrace(ctx)
	handle, err := s.child.Get(ctx, h)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(f.done)
	s.forgetLocked(h, f)
	delete(s.stop, f)
	f.landed, f.hops = true, tr.Hops()
	switch {
	case err != nil && s.closed:
		f.err = s.errClosed()
	case err != nil:
		f.err = err
	case f.waiters == 0:
		handle.Release()
	default:
		f.shared = refcount.NewShared(handle)
	}
}

// forgetLocked lets no more Gets join f.
func (s *Store) forgetLocked(h blob.Hash, f *flight) {
	if s.flights[h] == f {
		delete(s.flights, h)
	}
}

// part lets no Get from now on join the flight of h: its answer may be older than a change that is done.
func (s *Store) part(h blob.Hash) {
	s.mu.Lock()
	delete(s.flights, h)
	s.mu.Unlock()
}

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) { return s.child.Has(ctx, h) }

// Put implements stores.Store.
func (s *Store) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	defer s.part(v.Hash())
	return s.child.Put(ctx, v, kind)
}

// Delete implements stores.Store.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	defer s.part(h)
	return s.child.Delete(ctx, h)
}

// Close implements stores.Store: it cancels all flights, waits for them, and closes the store below.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for f := range s.stop {
		f.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
	return s.child.Close()
}

func (s *Store) errClosed() error { return fmt.Errorf("%s: closed: %w", s.name, blob.ErrUnavailable) }

// Stats is a snapshot.
type Stats struct {
	Flights int // Gets of the store below that run
	Waiting int // callers that wait for them
}

// Stats counts what is under way.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Flights: len(s.stop)}
	for f := range s.stop {
		st.Waiting += f.waiters
	}
	return st
}

var (
	_ stores.Store     = (*Store)(nil)
	_ stores.Unwrapper = (*Store)(nil)
)
