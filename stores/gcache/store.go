// Package gcache keeps up to a number of blobs in memory over another store:
//
//	store:
//	  gcache:
//	    max_size: 500      # blobs, not bytes: at most 2 MiB each
//	    strategy: 0        # 0 LFU, 1 ARC, 2 LRU, 3 simple
//	    store: …
//
// What is got from the store below, or put into it, is copied into memory once; a hit shares that copy with every
// reader and touches nothing below. An evicted blob's memory is free once its last reader has released it, so slow
// readers can hold more than max_size blobs. Bytes are not hashed again: a store below gives only bytes that match.
package gcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Options are the settings of a Store.
type Options struct {
	Name     string       // follows "gcache-" in Name; empty: the kind alone
	Store    stores.Store // closed with the Store that New returns
	MaxSize  int          // blobs, at least 1
	Strategy Strategy
}

// Store is a cache in memory over a child.
type Store struct {
	name   string
	child  stores.Store
	closed atomic.Bool
	pinned atomic.Int64 // handles over memory
	hits   atomic.Uint64
	misses atomic.Uint64

	mu      sync.Mutex
	blobs   policy
	changes uint64 // Deletes that are done; what was read from the child before one is not admitted after it
	added   uint64
	removed uint64 // by Delete
}

// New makes a store over o.Store.
func New(o Options) (*Store, error) {
	if o.MaxSize < 1 {
		return nil, fmt.Errorf("gcache: max_size is %d blobs, want at least 1", o.MaxSize)
	}
	blobs, err := newPolicy(o.Strategy, o.MaxSize)
	if err != nil {
		return nil, err
	}
	return &Store{name: stores.KindName("gcache", o.Name), child: o.Store, blobs: blobs}, nil
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Unwrap implements stores.Unwrapper.
func (s *Store) Unwrap() stores.Store { return s.child }

// ready is the error of a call that cannot be answered.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return fmt.Errorf("%s: closed: %w", s.name, blob.ErrUnavailable)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	has := s.blobs.has(h)
	s.mu.Unlock()
	if has {
		return true, nil
	}
	return s.child.Has(ctx, h)
}

// Get implements stores.Store.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, err := s.get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return handle, err
}

func (s *Store) get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	body, before := s.blobs.get(h), s.changes
	s.mu.Unlock()
	if body != nil {
		s.hits.Add(1)
		return body.Handle(), nil
	}
	s.misses.Add(1)
	inner, err := s.child.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	defer inner.Release()
	data := make([]byte, inner.Size())
	if n, err := inner.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("%s: read %s from %s: %w", s.name, h.Short(), s.child.Name(), err)
	}
	body = refcount.NewBody(data, &s.pinned, nil)
	s.admit(h, body, before)
	return body.Handle(), nil
}

// admit caches a body, unless a Delete was done since before.
func (s *Store) admit(h blob.Hash, body *refcount.Body, before uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == before && !s.blobs.has(h) {
		s.blobs.add(h, body)
		s.added++
	}
}

// Open implements stores.Opener over Get, so that an origin's Opener below is not taken past the cache.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	handle, err := s.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	return blob.NewStream(h, handle.Size(), &reader{io.NewSectionReader(handle, 0, handle.Size()), handle})
}

// reader is a handle read from its start; Close releases it.
type reader struct {
	*io.SectionReader
	handle blob.Handle
}

func (r *reader) Close() error {
	r.handle.Release()
	return nil
}

// Put implements stores.Store: below first, then in memory.
func (s *Store) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	before, has := s.changes, s.blobs.get(v.Hash()) != nil
	s.mu.Unlock()
	if err := s.child.Put(ctx, v, kind); err != nil {
		return err
	}
	if !has {
		s.admit(v.Hash(), refcount.NewBody(bytes.Clone(v.Bytes()), &s.pinned, nil), before)
	}
	return nil
}

// Delete implements stores.Store. The blob leaves the memory even where the store below refuses.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	err := s.child.Delete(ctx, h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if s.blobs.remove(h) {
		s.removed++
	}
	return err
}

// Close implements stores.Store: it closes the store below.
func (s *Store) Close() error {
	s.closed.Store(true)
	return s.child.Close()
}

// Pinned implements stores.Pinner: handles of this store and of the one below.
func (s *Store) Pinned() int { return int(s.pinned.Load()) + stores.Pinned(s.child) }

// Stats is a snapshot.
type Stats struct {
	Hits, Misses uint64
	Evicted      uint64
	Blobs        int // in memory
}

// Stats counts since New.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.blobs.len()
	return Stats{
		Hits: s.hits.Load(), Misses: s.misses.Load(),
		Evicted: s.added - s.removed - uint64(n), Blobs: n,
	}
}

var (
	_ stores.Store     = (*Store)(nil)
	_ stores.Opener    = (*Store)(nil)
	_ stores.Pinner    = (*Store)(nil)
	_ stores.Unwrapper = (*Store)(nil)
)
