package upload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

const (
	catalogueBatch = 10_000 // blobs that the catalogue is asked for at once
	hasBatch       = 500    // blobs that the store is asked for before any of them is handed out
	hasAtOnce      = 32     // calls to the store at once
	catalogueTries = 4
)

// batch is files of which it is not known yet whether their blobs are stored.
type batch struct {
	u     *uploader
	hand  func(file) error // takes those that are not
	limit int
	files []file
}

// add takes a file, and hands out the batch once it is full.
func (b *batch) add(ctx context.Context, f file) error {
	if b.u.Catalogue == nil && !b.u.AskStore {
		return b.hand(f)
	}
	b.files = append(b.files, f)
	if len(b.files) < b.limit {
		return nil
	}
	return b.flush(ctx)
}

// flush asks for what is in the batch.
func (b *batch) flush(ctx context.Context) error {
	files := b.files
	b.files = b.files[:0]
	if b.u.Catalogue != nil && len(files) > 0 {
		var err error
		if files, err = b.askCatalogue(ctx, files); err != nil {
			return err
		}
	}
	for len(files) > 0 {
		part := files[:min(len(files), hasBatch)]
		files = files[len(part):]
		missing := part
		if b.u.AskStore {
			missing = b.askStore(ctx, part)
		}
		for _, f := range missing {
			if err := b.hand(f); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// askCatalogue leaves the files whose blobs the catalogue does not have.
func (b *batch) askCatalogue(ctx context.Context, files []file) ([]file, error) {
	hashes := make([]blob.Hash, len(files))
	for i, f := range files {
		hashes[i] = f.hash
	}
	stored, err := b.u.Catalogue.Stored(ctx, hashes)
	for n, pause := 1, b.u.RetryAfter; err != nil && n < catalogueTries && ctx.Err() == nil; n, pause = n+1, 2*pause {
		b.u.Meter.Println(fmt.Sprintf("the catalogue failed and is asked again in %v: %v", pause, err))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			stored, err = b.u.Catalogue.Stored(ctx, hashes)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the catalogue what is stored: %w", err)
	}
	missing := files[:0]
	for i, f := range files {
		if stored[i] {
			b.u.present(ctx, f, false)
		} else {
			missing = append(missing, f)
		}
	}
	return missing, nil
}

// askStore leaves the files whose blobs the store does not have, and names those for which it cannot tell.
func (b *batch) askStore(ctx context.Context, files []file) []file {
	has, errs := make([]bool, len(files)), make([]error, len(files))
	slots := make(chan struct{}, hasAtOnce)
	var all sync.WaitGroup
	for i, f := range files {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			has[i], errs[i] = b.u.Store.Has(ctx, f.hash)
		})
	}
	all.Wait()
	missing := files[:0]
	for i, f := range files {
		switch {
		case ctx.Err() != nil:
			return nil
		case errs[i] != nil:
			b.u.storeFailed(f.path(), fmt.Errorf("ask whether it is stored: %w", errs[i]))
		case has[i]:
			b.u.present(ctx, f, true)
		default:
			missing = append(missing, f)
		}
	}
	return missing
}

// present counts a blob that is stored already, as the store said, or a catalogue. Its file may go once the stores that
// keep the bytes have confirmed that: rows of a catalogue can outlive them.
func (u *uploader) present(ctx context.Context, f file, byStore bool) {
	u.count(func(s *Summary) { s.Present++ })
	if u.Delete {
		if err := u.confirm(ctx, f.hash, byStore); err != nil {
			u.undeleted(f, err)
		} else {
			u.remove(f)
		}
	}
	u.Meter.Add(1, 0)
}

// confirm demands that the bytes of a blob are there.
func (u *uploader) confirm(ctx context.Context, h blob.Hash, byStore bool) error {
	holders := u.Holders
	if len(holders) == 0 && !byStore {
		holders = []stores.Store{u.Store}
	}
	for _, s := range holders {
		has, err := s.Has(ctx, h)
		switch {
		case err != nil:
			return fmt.Errorf("ask whether it is really stored: %w", err)
		case !has:
			return fmt.Errorf("the catalogue says that it is stored, and %s does not have it; upload it with --skipExistsCheck", s.Name())
		}
	}
	return nil
}
