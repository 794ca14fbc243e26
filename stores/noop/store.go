// Package noop never has a blob: what is put is dropped, and every Get is a miss. It stands where a configuration
// needs a store and wants none, such as a caching store that only joins and verifies:
//
//	store:
//	  caching:
//	    cache: {noop: {}}
//	    origin: …
package noop

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Options are the settings of a Store. The zero Options are good.
type Options struct {
	Name string // follows "noop-" in Name; empty: the kind alone
}

// Store has no blobs.
type Store struct {
	name   string
	closed atomic.Bool
}

// New makes a store.
func New(o Options) *Store { return &Store{name: stores.KindName("noop", o.Name)} }

// Volatile implements stores.Volatile.
func (s *Store) Volatile() string { return s.name + " keeps nothing" }

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

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

// Has implements stores.Store: false.
func (s *Store) Has(ctx context.Context, _ blob.Hash) (bool, error) { return false, s.ready(ctx) }

// Get implements stores.Store: blob.ErrNotFound.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name})
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s: get %s: %w", s.name, h.Short(), blob.ErrNotFound)
}

// Put implements stores.Store. It keeps nothing.
func (s *Store) Put(ctx context.Context, v blob.Verified, _ blob.Kind) error {
	if v.Size() == 0 {
		return fmt.Errorf("%s: put: %w", s.name, blob.ErrEmpty)
	}
	return s.ready(ctx)
}

// Delete implements stores.Store.
func (s *Store) Delete(ctx context.Context, _ blob.Hash) error { return s.ready(ctx) }

// Close implements stores.Store.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

var _ stores.Store = (*Store)(nil)
