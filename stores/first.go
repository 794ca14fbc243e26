package stores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
)

// First is stores of which the first that has a blob gives it, for combinators that read from several. A store that
// fails is passed by, and remembered: when none has the blob and one could not tell, the answer is the failure and not
// blob.ErrNotFound.
type First []Store

// Has says whether a store has the blob.
func (f First) Has(ctx context.Context, h blob.Hash) (bool, error) {
	_, err := f.try(ctx, func(s Store) error {
		has, err := s.Has(ctx, h)
		if err == nil && !has {
			err = blob.ErrNotFound
		}
		return err
	})
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Get pins a blob, and says which store has it.
func (f First) Get(ctx context.Context, h blob.Hash) (handle blob.Handle, which int, err error) {
	which, err = f.try(ctx, func(s Store) (err error) {
		handle, err = s.Get(ctx, h)
		return err
	})
	return handle, which, err
}

// Open starts a transfer, and says from which store. Once it has begun no other store is asked.
func (f First) Open(ctx context.Context, h blob.Hash) (st *blob.Stream, which int, err error) {
	which, err = f.try(ctx, func(s Store) (err error) {
		st, err = Open(ctx, s, h)
		return err
	})
	return st, which, err
}

// try asks the stores in turn.
func (f First) try(ctx context.Context, ask func(Store) error) (int, error) {
	var failed error
	missing := blob.ErrNotFound
	for i, s := range f {
		err := ask(s)
		switch {
		case err == nil:
			return i, nil
		case ctx.Err() != nil:
			return -1, err
		case errors.Is(err, blob.ErrNotFound):
			missing = err
		case failed == nil:
			failed = err
		default:
			failed = fmt.Errorf("%w; %w", failed, err)
		}
	}
	if failed != nil {
		return -1, failed
	}
	return -1, missing
}

// Pinned is the number of handles of several stores that were not released yet.
func Pinned(children ...Store) int {
	n := 0
	for _, s := range children {
		if p, ok := As[Pinner](s); ok {
			n += p.Pinned()
		}
	}
	return n
}

// Open starts a transfer from a store that is an Opener, or else gives what a handle of it gives as a stream.
func Open(ctx context.Context, s Store, h blob.Hash) (*blob.Stream, error) {
	if o, ok := As[Opener](s); ok {
		return o.Open(ctx, h)
	}
	handle, err := s.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	body := &handleBody{Reader: io.NewSectionReader(handle, 0, handle.Size())}
	body.release = sync.OnceFunc(handle.Release)
	return blob.NewStream(h, handle.Size(), body)
}

// handleBody is a handle as the body of a stream.
type handleBody struct {
	io.Reader
	release func()
}

func (b *handleBody) Close() error {
	b.release()
	return nil
}
