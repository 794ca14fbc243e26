package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
)

// watch tells one listener which blobs come and go.
type watch struct {
	mu     sync.Mutex
	fn     func(blob.Hash)
	missed bool // something changed before there was a listener
}

// tell is called by the committer. A commit that failed counts too: nobody knows what became of it.
func (w *watch) tell(todo []*change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range todo {
		for _, r := range c.rows {
			switch same := r.old != nil && r.now != nil && r.old.Kind == r.now.Kind; {
			case same:
			case w.fn == nil:
				w.missed = true
			default:
				w.fn(r.hash)
			}
		}
	}
}

// OnChange is engine.Engine's: Look knows a blob by its row.
func (s *files) OnChange(fn func(blob.Hash)) (missed bool) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	s.watch.fn = fn
	return s.watch.missed
}

// List gives what has a row, once the walk of the folder has ended. A file that is not proven may turn out to be bad when
// it is read, and goes then.
func (s *files) List(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.leave() // whoever lists takes long: Close waits for the index alone
	select {
	case <-s.walked:
	case <-s.ix.Failed():
		return errIndexFailed
	case <-s.stopping.Done():
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("disk: %w", context.Cause(ctx))
	}
	var refused error
	err := s.ix.AllFrom(from, func(h blob.Hash, row index.Entry) error {
		switch {
		case s.closed.Load():
			refused = errClosed
		case ctx.Err() != nil:
			refused = fmt.Errorf("disk: %w", context.Cause(ctx))
		default:
			refused = fn(h, int64(row.Length), row.Kind)
		}
		return refused
	})
	if err != nil && refused == nil {
		return fmt.Errorf("disk: list: %w", unavailable(err))
	}
	return refused
}

// Look is what List would say of one blob.
func (s *files) Look(ctx context.Context, h blob.Hash) (size int64, kind blob.Kind, found bool, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, 0, false, err
	}
	defer s.leave()
	if s.ix.Err() != nil { // what was committed last may not be on disk
		return 0, 0, false, errIndexFailed
	}
	row, err := s.ix.Get(h)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return 0, 0, false, nil
	case err != nil:
		return 0, 0, false, fmt.Errorf("disk: look: %w", unavailable(err))
	}
	return int64(row.Length), row.Kind, true, nil
}

// ChargeBeside is engine.Engine's.
func (s *files) ChargeBeside(bytes func() int64) { s.beside.Store(&bytes) }
