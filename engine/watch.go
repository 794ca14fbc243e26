package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
)

// watch tells one listener which blobs come and go.
type watch struct {
	mu     sync.Mutex
	fn     func(blob.Hash)
	missed bool // something changed before there was a listener
}

// tell is called by the committer, with what a group has changed. A group that failed counts too: nobody knows what
// became of it.
func (w *watch) tell(changed []blob.Hash) {
	if len(changed) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missed = w.missed || w.fn == nil
	if w.fn == nil {
		return
	}
	for _, h := range changed {
		w.fn(h)
	}
}

// OnChange has fn called with the name of every blob that comes or goes, for whatever reason, once Look says so: puts and
// deletes tell before they return. fn runs on the committer: it must be quick, and call nothing of the engine. missed
// says that blobs came or went since Open already.
func (e *Engine) OnChange(fn func(blob.Hash)) (missed bool) {
	e.watch.mu.Lock()
	defer e.watch.mu.Unlock()
	e.watch.fn = fn
	return e.watch.missed
}

// List calls fn for each blob in the order of the hashes, from the first one that is not below from, without reading
// any. It waits until what the last run left over is done. What comes or goes meanwhile may be seen or not. An error of
// fn ends it, and is returned as it is.
func (e *Engine) List(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	if err := e.WaitRecovered(ctx); err != nil {
		return err
	}
	var refused error
	err := e.ix.AllFrom(from, func(h blob.Hash, ent index.Entry) error {
		if refused = e.usable(ctx); refused == nil && e.serves(ent) {
			refused = fn(h, int64(ent.Length), ent.Kind)
		}
		return refused
	})
	if err != nil && refused == nil {
		return e.indexError(err)
	}
	return refused
}

// Look is what List would say of one blob.
func (e *Engine) Look(ctx context.Context, h blob.Hash) (size int64, kind blob.Kind, found bool, err error) {
	if err := e.usable(ctx); err != nil {
		return 0, 0, false, err
	}
	if e.ix.Err() != nil { // what was committed last may not be on disk
		return 0, 0, false, errIndexFailed
	}
	ent, err := e.ix.Get(h)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return 0, 0, false, nil
	case err != nil:
		return 0, 0, false, e.indexError(err)
	}
	return int64(ent.Length), ent.Kind, e.serves(ent), nil
}

// serves says whether a record may be read, as far as is known without a look at it.
func (e *Engine) serves(ent index.Entry) bool {
	s := e.segs.get(ent.Segment)
	return s != nil && s.trusted(ent.Slot)
}

// beside is what others keep on the mount.
type beside struct {
	ask   atomic.Pointer[func() int64]
	bytes atomic.Int64
}

func (b *beside) measure() {
	if ask := b.ask.Load(); ask != nil {
		b.bytes.Store((*ask)())
	}
}

// ChargeBeside counts what bytes says against the cap, from now on: others keep something on the mount. It is asked
// about once a second.
func (e *Engine) ChargeBeside(bytes func() int64) { e.beside.ask.Store(&bytes) }
