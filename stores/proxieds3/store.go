// Package proxieds3 writes to one store and reads from another, which sees what was written: a bucket, and a cache or an
// address for readers in front of it.
//
//	store:
//	  proxied-s3:
//	    name: blobs
//	    writer: {s3: …}
//	    reader: {http: {endpoint: https://blobs.example.com/}}
//
// Put, Delete and Has go to the writer, and so do the questions that a writer may answer beyond them: it alone knows
// what is wanted, blocked or missing of a stream. That is why it is what Unwrap gives: a store over a writer that
// answers none of them claims nothing. Get and Open go to the reader; without one the writer reads.
//
// A blob that Has finds may not be seen by the reader yet, or any more. How soon it is, the reader decides.
package proxieds3

import (
	"context"
	"errors"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Options are the settings of a Store.
type Options struct {
	Name   string       // follows "proxied-s3-" in Name; empty: the kind alone
	Writer stores.Store // closed with the Store that New returns
	Reader stores.Store // the same; nil: the writer
}

// Store is a writer and a reader.
type Store struct {
	name           string
	writer, reader stores.Store
	children       []stores.Store // both, or the one that is both
}

// New makes a store over o.Writer and o.Reader.
func New(o Options) *Store {
	s := &Store{
		name:     stores.KindName("proxied-s3", o.Name),
		writer:   o.Writer,
		reader:   o.Writer,
		children: []stores.Store{o.Writer},
	}
	if o.Reader != nil {
		s.reader, s.children = o.Reader, append(s.children, o.Reader)
	}
	return s
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Unwrap implements stores.Unwrapper: the writer. What the reader answers is answered here.
func (s *Store) Unwrap() stores.Store { return s.writer }

// Has implements stores.Store: of the writer.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) { return s.writer.Has(ctx, h) }

// Get implements stores.Store: from the reader.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, err := s.reader.Get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return handle, err
}

// Open implements stores.Opener: from the reader.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	st, err := stores.Open(ctx, s.reader, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return st, err
}

// Put implements stores.Store: to the writer.
func (s *Store) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	return s.writer.Put(ctx, v, kind)
}

// Delete implements stores.Store: from the writer.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error { return s.writer.Delete(ctx, h) }

// Close implements stores.Store.
func (s *Store) Close() error {
	var errs []error
	for _, child := range s.children {
		errs = append(errs, child.Close())
	}
	return errors.Join(errs...)
}

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return stores.Pinned(s.children...) }

var (
	_ stores.Store     = (*Store)(nil)
	_ stores.Opener    = (*Store)(nil)
	_ stores.Pinner    = (*Store)(nil)
	_ stores.Unwrapper = (*Store)(nil)
)
