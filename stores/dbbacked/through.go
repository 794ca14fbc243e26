package dbbacked

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/compare"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// through is write_through.
type through struct {
	*Store
	// keys orders what changes one blob, so that child and catalogue see the same last change.
	keys *keys
}

func (s *through) has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	stored := false
	err := s.ask(ctx, func(ctx context.Context) error {
		answers, err := s.cat.Stored(ctx, []blob.Hash{h})
		stored = err == nil && answers[0]
		return err
	})
	switch {
	case err == nil:
		return stored, nil
	case ctx.Err() != nil:
		return false, s.failed(ctx, "has", h, err)
	}
	return s.child.Has(ctx, h)
}

// put stores the bytes, and then tells the catalogue.
func (s *through) put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	unlock, err := s.keys.lock(ctx, v.Hash())
	if err != nil {
		return fmt.Errorf("%s: put: %w", s.name, err)
	}
	defer unlock()
	if err := s.child.Put(ctx, v, kind); err != nil {
		return err
	}
	if err := s.record(ctx, metadata.Blob{Hash: v.Hash(), Length: int(v.Size())}, kind, v.Bytes()); err != nil {
		return s.failed(ctx, "put", v.Hash(), err)
	}
	return nil
}

// record tells the catalogue of a blob. What claims to be an SD blob and is none is stored as what it is: bytes.
func (s *Store) record(ctx context.Context, b metadata.Blob, kind blob.Kind, data []byte) error {
	bad, err := compare.Note(ctx, s.cat, b, kind, data)
	if bad != nil {
		s.log.Warn("a blob that came as an SD blob is none; the catalogue has no stream of it", "blob", b.Hash.String(), "err", bad)
	}
	return err
}

func (s *through) remove(ctx context.Context, h blob.Hash) error {
	unlock, err := s.keys.lock(ctx, h)
	if err != nil {
		return fmt.Errorf("%s: delete: %w", s.name, err)
	}
	defer unlock()
	if err := s.child.Delete(ctx, h); err != nil {
		return err
	}
	if err := s.cat.Delete(ctx, []blob.Hash{h}); err != nil {
		return s.failed(ctx, "delete", h, err)
	}
	return nil
}

// gone notes a blob as not stored, if the store below still has no such blob while nobody can put it.
func (s *through) gone(ctx context.Context, h blob.Hash) error {
	unlock, err := s.keys.lock(ctx, h)
	if err != nil {
		return err
	}
	defer unlock()
	has, err := s.child.Has(ctx, h)
	if err != nil || has {
		return err
	}
	return s.cat.Delete(ctx, []blob.Hash{h})
}

// wants needs the catalogue: without it nothing could be put.
func (s *through) wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	if err := s.ready(ctx); err != nil {
		return false, false, err
	}
	st, err := s.status(ctx, h)
	if err != nil {
		return false, false, s.failed(ctx, "wants", h, err)
	}
	return !st.Stored && !st.Blocked, st.Blocked, nil
}

// missing asks the catalogue, but for its word that nothing is missing, which it may say because it lacks links: that is
// checked against the SD blob.
func (s *through) missing(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, false, err
	}
	content, proven := s.streams.get(sd)
	if !proven {
		err = s.ask(ctx, func(ctx context.Context) error {
			missing, known, err = s.cat.Missing(ctx, sd)
			return err
		})
		switch {
		case err != nil:
			return s.unknown(ctx, sd, err)
		case !known || len(missing) > 0:
			return missing, known, nil
		}
		err = s.read(ctx, sd, func(data []byte) error {
			desc, err := stream.ParseSD(data)
			content = desc.Blobs
			return err
		})
		switch {
		case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrCorrupt), errors.Is(err, stream.ErrNotSD):
			return nil, false, nil // who asks finds out, and what to do about it
		case err != nil:
			return nil, false, err
		}
		s.streams.put(sd, content)
	}
	if len(content) == 0 {
		return nil, true, nil
	}
	var stored []bool
	err = s.ask(ctx, func(ctx context.Context) error {
		stored, err = s.cat.Stored(ctx, content)
		return err
	})
	if err != nil {
		return s.unknown(ctx, sd, err)
	}
	for i, ok := range stored {
		if !ok {
			missing = append(missing, content[i])
		}
	}
	return missing, true, nil
}

// unknown is the answer about a stream when the catalogue fails: the SD blob has to be read.
func (s *through) unknown(ctx context.Context, sd blob.Hash, err error) ([]blob.Hash, bool, error) {
	if ctx.Err() != nil {
		return nil, false, s.failed(ctx, "missing of", sd, err)
	}
	return nil, false, nil
}

// keys are locks, one for each blob that somebody changes.
type keys struct {
	mu sync.Mutex
	m  map[blob.Hash]*key
}

type key struct {
	users int           // holders and who waits
	turn  chan struct{} // room for one: taken while it is locked
}

func newKeys() *keys { return &keys{m: map[blob.Hash]*key{}} }

// lock waits for a blob's lock. The error is the context's.
func (k *keys) lock(ctx context.Context, h blob.Hash) (unlock func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	k.mu.Lock()
	l := k.m[h]
	if l == nil {
		l = &key{turn: make(chan struct{}, 1)}
		k.m[h] = l
	}
	l.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.m, h)
		}
	}
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
