package engine

import (
	"context"
	"errors"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// View gives the index as it is now, for a check of the mount while it serves. whole says that every row in it was proven
// or written by this process, so that bytes and slot are there, above watermarks too; but for failed segments. The caller
// closes the view, soon; Close of the engine ends it.
func (e *Engine) View(ctx context.Context) (v *index.View, whole bool, err error) {
	if err := e.usable(ctx); err != nil {
		return nil, false, err
	}
	whole = !e.recovering() // before the view is made
	v, err = e.ix.View()
	if errors.Is(err, index.ErrClosed) {
		err = errClosed
	}
	return v, whole, err
}

// Holds says whether the index has the blob at this very place. No place is used twice, and a record leaves the index
// before anything of it on disk is changed: what Holds still says yes to has been whole all the while.
func (e *Engine) Holds(h blob.Hash, id segments.ID, slot uint32) (bool, error) {
	if e.closed.Load() {
		return false, errClosed
	}
	ent, err := e.ix.Get(h)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return false, nil
	case err != nil:
		return false, e.indexError(err)
	}
	return ent.Segment == id && ent.Slot == slot, nil
}

// HoldsSegment says whether a segment is part of the mount, and not about to be removed.
func (e *Engine) HoldsSegment(id segments.ID) bool {
	s := e.segs.get(id)
	return s != nil && !s.isGone()
}
