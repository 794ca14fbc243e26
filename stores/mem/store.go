// Package mem keeps blobs in memory, without a bound: for tests, and for set-ups so small that they all fit. In a
// configuration:
//
//	store:
//	  mem: {}
//
// Handles share the stored bytes, so a hit copies nothing, and a blob that is deleted stays readable until its last
// handle is released. Nothing survives Close.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Options are the settings of a Store. The zero Options are good.
type Options struct {
	Name string // follows "mem-" in Name; empty: the kind alone
}

// Store is a map from hash to bytes.
type Store struct {
	name   string
	pinned atomic.Int64

	mu     sync.RWMutex
	blobs  map[blob.Hash]*refcount.Body // nil after Close
	stored int64                        // bytes in blobs
}

// New makes an empty store.
func New(o Options) *Store {
	return &Store{name: stores.KindName("mem", o.Name), blobs: map[blob.Hash]*refcount.Body{}}
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	body, err := s.find(ctx, h)
	return body != nil, err
}

// Get implements stores.Store.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	body, err := s.find(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	switch {
	case err != nil:
		return nil, err
	case body == nil:
		return nil, fmt.Errorf("%s: get %s: %w", s.name, h.Short(), blob.ErrNotFound)
	}
	return body.Handle(), nil
}

// find is the body of h, or nil. The garbage collector keeps what was found, so the map's own reference is never
// released.
func (s *Store) find(ctx context.Context, h blob.Hash) (*refcount.Body, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.blobs == nil {
		return nil, s.closed()
	}
	return s.blobs[h], nil
}

// Put implements stores.Store. It copies the bytes.
func (s *Store) Put(ctx context.Context, v blob.Verified, _ blob.Kind) error {
	if v.Size() == 0 {
		return fmt.Errorf("%s: put: %w", s.name, blob.ErrEmpty)
	}
	if body, err := s.find(ctx, v.Hash()); err != nil || body != nil {
		return err
	}
	body := refcount.NewBody(bytes.Clone(v.Bytes()), &s.pinned, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs == nil {
		return s.closed()
	}
	if s.blobs[v.Hash()] == nil {
		s.blobs[v.Hash()] = body
		s.stored += body.Size()
	}
	return nil
}

// Delete implements stores.Store.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	if body, err := s.find(ctx, h); err != nil || body == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if body := s.blobs[h]; body != nil {
		delete(s.blobs, h)
		s.stored -= body.Size()
	}
	return nil
}

// Close implements stores.Store: it forgets every blob.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs, s.stored = nil, 0
	return nil
}

func (s *Store) closed() error { return fmt.Errorf("%s: closed: %w", s.name, blob.ErrUnavailable) }

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return int(s.pinned.Load()) }

// Volatile implements stores.Volatile.
func (s *Store) Volatile() string { return s.name + " keeps blobs in memory" }

// Stats is a snapshot.
type Stats struct {
	Blobs int
	Bytes int64 // of payload
}

// Stats counts what is stored now.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{Blobs: len(s.blobs), Bytes: s.stored}
}

var (
	_ stores.Store  = (*Store)(nil)
	_ stores.Pinner = (*Store)(nil)
)
