// Package ittt reads from one store, and from another what the first does not give ("if this, then that"):
//
//	store:
//	  ittt:
//	    name: nearby
//	    this: {http: {endpoint: https://near.example.com/}}
//	    that: {http: {endpoint: https://far.example.com/}}
//
// A blob that `this` lacks, or cannot give because it fails, is asked of `that`. A blob is missing when both say so: a
// failure of either beside a "not found" of the other is a failure. A transfer that has begun is not moved from one to
// the other.
//
// Put goes to `this`, which readers ask first. Delete goes to both, because a blob that is left in either would still
// be read; where one is read-only, Delete fails.
//
// Of the optional interfaces it has Opener, Pinner and Volatile. What is wanted, blocked or missing of a stream it does
// not answer: neither child speaks for the other.
package ittt

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Options are the settings of a Store.
type Options struct {
	Name       string       // follows "ittt-" in Name; empty: the kind alone
	This, That stores.Store // closed with the Store that New returns
}

// Store reads from This, then That.
type Store struct {
	name string
	both stores.First
	hits [2]atomic.Int64
}

// New makes a store over o.This and o.That.
func New(o Options) *Store {
	return &Store{name: stores.KindName("ittt", o.Name), both: stores.First{o.This, o.That}}
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) { return s.both.Has(ctx, h) }

// Get implements stores.Store.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, which, err := s.both.Get(ctx, h)
	s.answered(ctx, start, which, err)
	return handle, err
}

// Open implements stores.Opener.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	st, which, err := s.both.Open(ctx, h)
	s.answered(ctx, start, which, err)
	return st, err
}

// answered counts a hit, and leaves a hop.
func (s *Store) answered(ctx context.Context, start time.Time, which int, err error) {
	if err == nil {
		s.hits[which].Add(1)
	}
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
}

// Put implements stores.Store: into This.
func (s *Store) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	return s.both[0].Put(ctx, v, kind)
}

// Delete implements stores.Store: from both, That first, so that nothing is left to be found by the time This has
// forgotten the blob.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	return errors.Join(s.both[1].Delete(ctx, h), s.both[0].Delete(ctx, h))
}

// Close implements stores.Store.
func (s *Store) Close() error { return errors.Join(s.both[0].Close(), s.both[1].Close()) }

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return stores.Pinned(s.both...) }

// Volatile implements stores.Volatile: a Put is what This promised.
func (s *Store) Volatile() string { return stores.VolatileOf(s.both[0]) }

// Hits are the blobs that one child gave.
type Hits struct {
	Origin string // its Name
	Hits   int64
}

// Stats counts since New: This, then That.
func (s *Store) Stats() [2]Hits {
	var st [2]Hits
	for i, child := range s.both {
		st[i] = Hits{Origin: child.Name(), Hits: s.hits[i].Load()}
	}
	return st
}

var (
	_ stores.Store    = (*Store)(nil)
	_ stores.Opener   = (*Store)(nil)
	_ stores.Pinner   = (*Store)(nil)
	_ stores.Volatile = (*Store)(nil)
)
