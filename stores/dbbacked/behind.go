package dbbacked

import (
	"context"
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata/journal"
)

// behind is write_behind: what the store below says is so.
type behind struct{ *Store }

func (s *behind) has(ctx context.Context, h blob.Hash) (bool, error) { return s.child.Has(ctx, h) }

func (s *behind) put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	return s.changing("put", v.Hash(), func() error { return s.child.Put(ctx, v, kind) })
}

func (s *behind) remove(ctx context.Context, h blob.Hash) error {
	return s.changing("delete", h, func() error { return s.child.Delete(ctx, h) })
}

// changing makes a change of the store below. One that does not say itself what changes, or could not be compared with
// the catalogue after a crash, has it noted on disk: before, since a crash may come in between, and after, since the
// first note may be worked off in between.
func (s *behind) changing(call string, h blob.Hash, change func() error) error {
	if s.lister != nil {
		return change()
	}
	if err := s.journal.NoteDurably(h, journal.Changed); err != nil {
		return fmt.Errorf("%s: %s %s: %w: %w", s.name, call, h.Short(), blob.ErrUnavailable, err)
	}
	err := change()
	if jerr := s.journal.NoteDurably(h, journal.Changed); jerr != nil {
		return errors.Join(err, fmt.Errorf("%s: %s %s: %w: %w", s.name, call, h.Short(), blob.ErrUnavailable, jerr))
	}
	return err
}

func (s *behind) gone(_ context.Context, h blob.Hash) error {
	s.journal.Note(h, journal.Changed)
	return nil
}

// wants asks the store below what it has, and the catalogue what is blocked. A catalogue that is away blocks nothing.
func (s *behind) wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	if err := s.ready(ctx); err != nil {
		return false, false, err
	}
	st, err := s.status(ctx, h)
	if err == nil && st.Blocked {
		return false, true, nil
	}
	has, err := s.child.Has(ctx, h)
	return !has && err == nil, false, err
}

// missing leaves the answer to whoever asks the store below: the catalogue may be behind it.
func (s *behind) missing(context.Context, blob.Hash) (missing []blob.Hash, known bool, err error) {
	return nil, false, nil
}
