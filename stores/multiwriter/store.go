// Package multiwriter writes every blob to several stores:
//
//	store:
//	  multiwriter:
//	    name: both
//	    destinations:
//	      - s3: …
//	      - s3: …
//
// Older servers knew `one` and `two` in place of the list.
//
// Put and Delete go to all destinations at once and succeed when all have; the error names those that failed. What the
// others have done by then stays: whoever asked asks again, and doing it twice is doing it once.
//
// Older servers could not read from it. Here Get, Open and Has ask the destinations in their order for the first that
// has the blob, so that what was written can be served. Wants says that an uploader should send what any destination
// lacks: a Put that failed for one of them is mended when it is tried again.
//
// Of the other optional interfaces it has Opener, Pinner and Volatile. What is blocked or missing of a stream it does
// not answer: no destination speaks for the others.
package multiwriter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Options are the settings of a Store.
type Options struct {
	Name         string         // follows "multiwriter-" in Name; empty: the kind alone
	Destinations []stores.Store // one or more, closed with the Store that New returns
}

// Store writes to all its destinations.
type Store struct {
	name string
	all  stores.First
}

// New makes a store over o.Destinations. Errors: there are none.
func New(o Options) (*Store, error) {
	if len(o.Destinations) == 0 {
		return nil, errors.New("multiwriter: no destinations")
	}
	return &Store{name: stores.KindName("multiwriter", o.Name), all: o.Destinations}, nil
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) { return s.all.Has(ctx, h) }

// Get implements stores.Store.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, _, err := s.all.Get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return handle, err
}

// Open implements stores.Opener.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	st, _, err := s.all.Open(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return st, err
}

// Wants implements stores.Wanter: a blob that any destination wants, and none has blocked.
func (s *Store) Wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	for _, d := range s.all {
		wants, blocked, err := destinationWants(ctx, d, h)
		if err != nil || blocked {
			return false, blocked, err
		}
		wanted = wanted || wants
	}
	return wanted, false, nil
}

func destinationWants(ctx context.Context, d stores.Store, h blob.Hash) (wanted, blocked bool, err error) {
	if w, ok := stores.As[stores.Wanter](d); ok {
		return w.Wants(ctx, h)
	}
	has, err := d.Has(ctx, h)
	return !has && err == nil, false, err
}

// Put implements stores.Store.
func (s *Store) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	return s.everywhere("put", func(d stores.Store) error { return d.Put(ctx, v, kind) })
}

// Delete implements stores.Store.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	return s.everywhere("delete", func(d stores.Store) error { return d.Delete(ctx, h) })
}

// everywhere makes a call on all destinations side by side, and waits for all of them: none may use the caller's bytes
// any more when it returns.
func (s *Store) everywhere(call string, f func(stores.Store) error) error {
	failed := make([]error, len(s.all))
	var wg sync.WaitGroup
	for i, d := range s.all {
		wg.Go(func() { failed[i] = f(d) })
	}
	wg.Wait()
	var out error
	for i, err := range failed {
		switch {
		case err == nil:
		case out == nil:
			out = fmt.Errorf("destination %d of %d, %s: %w", i+1, len(s.all), s.all[i].Name(), err)
		default:
			out = fmt.Errorf("%w; destination %d of %d, %s: %w", out, i+1, len(s.all), s.all[i].Name(), err)
		}
	}
	if out != nil {
		out = fmt.Errorf("%s: %s: %w", s.name, call, out)
	}
	return out
}

// Close implements stores.Store.
func (s *Store) Close() error {
	var errs []error
	for _, d := range s.all {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return stores.Pinned(s.all...) }

// Volatile implements stores.Volatile: what one destination keeps is kept.
func (s *Store) Volatile() string {
	why := ""
	for _, d := range s.all {
		if why = stores.VolatileOf(d); why == "" {
			break
		}
	}
	return why
}

var (
	_ stores.Store    = (*Store)(nil)
	_ stores.Opener   = (*Store)(nil)
	_ stores.Pinner   = (*Store)(nil)
	_ stores.Wanter   = (*Store)(nil)
	_ stores.Volatile = (*Store)(nil)
)
