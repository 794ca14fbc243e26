package httpd

import (
	"context"
	"sync"
	"time"
)

// lookup is the context of one call of the store: the request's, with a deadline. It makes a timer only when somebody
// asks for Done. A hit waits for nothing and does not ask, and a timer and its bookkeeping for each would cost it more
// than its look-up.
type lookup struct {
	context.Context // the request's
	deadline        time.Time

	mu     sync.Mutex
	timed  context.Context // with a timer; nil until somebody waits
	cancel context.CancelFunc
	ended  bool
}

// newLookup starts the time. The caller ends it.
func newLookup(ctx context.Context, d time.Duration) *lookup {
	return &lookup{Context: ctx, deadline: time.Now().Add(d)}
}

// end cancels the context: the call has returned.
func (l *lookup) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.cancel != nil {
		l.cancel()
	}
}

// Deadline is when the store must have answered.
func (l *lookup) Deadline() (time.Time, bool) { return l.deadline, true }

// Done is closed at the deadline, when the request ends, and when the call has returned.
func (l *lookup) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timed == nil {
		l.timed, l.cancel = context.WithDeadline(l.Context, l.deadline)
		if l.ended {
			l.cancel()
		}
	}
	return l.timed.Done()
}

// Err says why Done is closed, or would be.
func (l *lookup) Err() error {
	timed, ended := l.state()
	switch {
	case timed != nil:
		return timed.Err()
	case l.Context.Err() != nil:
		return l.Context.Err()
	case ended:
		return context.Canceled
	case !time.Now().Before(l.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value looks in the context with the timer once there is one, so that package context finds its own there and ties
// children to it without a goroutine for each.
func (l *lookup) Value(key any) any {
	if timed, _ := l.state(); timed != nil {
		return timed.Value(key)
	}
	return l.Context.Value(key)
}

func (l *lookup) state() (timed context.Context, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timed, l.ended
}
