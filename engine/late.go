package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
)

// late has the puts and deletes whose callers were answered before the disk was done with them. What is asked of the
// same blob afterwards waits for them, or an old call could undo what a younger one has promised.
type late struct {
	n  atomic.Int64 // how many there are: almost always none
	mu sync.Mutex
	m  map[blob.Hash][]chan struct{}
}

// add notes a call that goes on behind until done is closed, and forgets it then.
func (l *late) add(h blob.Hash, done chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[blob.Hash][]chan struct{}{}
	}
	l.m[h] = append(l.m[h], done)
	l.n.Add(1)
	go func() {
		<-done
		l.forget(h, done)
	}()
}

func (l *late) forget(h blob.Hash, done chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n.Add(-1)
	l.m[h] = slices.DeleteFunc(l.m[h], func(c chan struct{}) bool { return c == done })
	if len(l.m[h]) == 0 {
		delete(l.m, h)
	}
}

// next is a call on h that goes on behind, or nil.
func (l *late) next(h blob.Hash) <-chan struct{} {
	if l.n.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, done := range l.m[h] {
		select {
		case <-done: // about to be forgotten
		default:
			return done
		}
	}
	return nil
}

// waitLate waits until nothing that was asked of a blob earlier goes on behind.
func (e *Engine) waitLate(ctx context.Context, h blob.Hash) error {
	for {
		done := e.late.next(h)
		if done == nil {
			return nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return unanswered(ctx)
		}
	}
}

// within waits for f or for ctx, whichever ends first: f waits for the disk, and a disk may take its time. It returns a
// channel that is closed when f has ended, if that is still to come.
func (e *Engine) within(ctx context.Context, f func() error) (chan struct{}, error) {
	if ctx.Done() == nil {
		return nil, f()
	}
	ended, result := make(chan struct{}), error(nil)
	go func() { // Close waits for it: it holds writers
		defer close(ended)
		result = f()
	}()
	select {
	case <-ended:
		return nil, result
	case <-ctx.Done():
		return ended, unanswered(ctx)
	}
}

// withinOf is within for a call on a blob.
func (e *Engine) withinOf(ctx context.Context, h blob.Hash, f func() error) error {
	ended, err := e.within(ctx, f)
	if ended != nil {
		e.late.add(h, ended)
	}
	return err
}

func unanswered(ctx context.Context) error {
	return fmt.Errorf("engine: the disk does not answer: %w: %w", blob.ErrUnavailable, context.Cause(ctx))
}
