package frontendtest

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Hooks are what a test does to the calls of a store that embeds them: it holds them up, makes them fail, and counts them.
type Hooks struct {
	Gets, Looks atomic.Int64 // calls of Get and of Has

	mu     sync.Mutex
	before func(ctx context.Context, h blob.Hash) error
	wrap   func(blob.Handle) blob.Handle
}

// First makes f run at the start of each Has and Get; its error is the answer.
func (k *Hooks) First(f func(ctx context.Context, h blob.Hash) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before = f
}

// Wrapping makes f replace the handles that Get gives.
func (k *Hooks) Wrapping(f func(blob.Handle) blob.Handle) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrap = f
}

// Hold makes each Has and Get wait until it is let go.
func (k *Hooks) Hold() (letGo func()) {
	gate := make(chan struct{})
	k.First(func(ctx context.Context, _ blob.Hash) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return sync.OnceFunc(func() { close(gate) })
}

// Calls is how often the store was asked.
func (k *Hooks) Calls() int64 { return k.Gets.Load() + k.Looks.Load() }

// Look is what a Has begins with.
func (k *Hooks) Look(ctx context.Context, h blob.Hash) error {
	k.Looks.Add(1)
	return k.begin(ctx, h)
}

// Fetch is what a Get begins with.
func (k *Hooks) Fetch(ctx context.Context, h blob.Hash) error {
	k.Gets.Add(1)
	return k.begin(ctx, h)
}

func (k *Hooks) begin(ctx context.Context, h blob.Hash) error {
	k.mu.Lock()
	before := k.before
	k.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx, h)
}

// Wrap is what a Get ends with.
func (k *Hooks) Wrap(h blob.Handle) blob.Handle {
	k.mu.Lock()
	wrap := k.wrap
	k.mu.Unlock()
	if wrap == nil {
		return h
	}
	return wrap(h)
}

// Shelf is a store of real bytes in memory, with hooks. Each Get is a hop of 81 µs.
type Shelf struct {
	Hooks
	Pins atomic.Int64 // handles that were not released yet

	mu    sync.Mutex
	blobs map[blob.Hash][]byte
}

// NewShelf makes a store that holds these blobs.
func NewShelf(blobs ...[]byte) *Shelf {
	s := &Shelf{blobs: map[blob.Hash][]byte{}}
	for _, b := range blobs {
		s.blobs[blob.Sum(b)] = b
	}
	return s
}

// Name implements stores.Store.
func (s *Shelf) Name() string { return "mem-shelf" }

// Pinned implements stores.Pinner.
func (s *Shelf) Pinned() int { return int(s.Pins.Load()) }

func (s *Shelf) bytes(h blob.Hash) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs[h]
}

// Has implements stores.Store.
func (s *Shelf) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.Look(ctx, h); err != nil {
		return false, err
	}
	return s.bytes(h) != nil, nil
}

// Get implements stores.Store.
func (s *Shelf) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	defer blob.TraceOf(ctx).Add(blob.Hop{Origin: s.Name(), Elapsed: 81 * time.Microsecond})
	if err := s.Fetch(ctx, h); err != nil {
		return nil, err
	}
	b := s.bytes(h)
	if b == nil {
		return nil, blob.ErrNotFound
	}
	s.Pins.Add(1)
	return s.Wrap(&page{Reader: bytes.NewReader(b), s: s, b: b}), nil
}

// Put implements stores.Store.
func (s *Shelf) Put(_ context.Context, v blob.Verified, _ blob.Kind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[v.Hash()] = bytes.Clone(v.Bytes())
	return nil
}

// Delete implements stores.Store.
func (s *Shelf) Delete(_ context.Context, h blob.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, h)
	return nil
}

// Close implements stores.Store.
func (s *Shelf) Close() error { return nil }

// page is a handle of Shelf.
type page struct {
	*bytes.Reader
	s *Shelf
	b []byte
}

func (p *page) SendTo(s blob.Sink, off, n int64) (int64, error) {
	k, err := s.Write(p.b[off : off+n])
	return int64(k), err
}

func (p *page) WriteTo(w io.Writer) (int64, error) {
	k, err := w.Write(p.b)
	return int64(k), err
}

func (p *page) Release() { p.s.Pins.Add(-1) }

var (
	_ stores.Store  = (*Shelf)(nil)
	_ stores.Pinner = (*Shelf)(nil)
)
