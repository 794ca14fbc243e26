package httpd

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// slots bounds how many requests are being looked up at once, and how many wait to be.
type slots struct {
	taken   chan struct{} // one element a slot in use; the channel's queue of senders is first come, first served
	waiting atomic.Int64
	most    int64
	timeout time.Duration
}

func newSlots(n, queue int, timeout time.Duration) *slots {
	return &slots{taken: make(chan struct{}, n), most: int64(queue), timeout: timeout}
}

// acquire takes a slot, waiting for one if it must. Errors: blob.ErrBusy when too many wait or the wait was too long,
// or the context's.
func (s *slots) acquire(ctx context.Context) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > s.most {
		return fmt.Errorf("http: queue is full: %w", blob.ErrBusy)
	}
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("http: waited %v for a slot: %w", s.timeout, blob.ErrBusy)
	}
}

// release gives a slot back.
func (s *slots) release() { <-s.taken }

// inUse is the number of slots taken now.
func (s *slots) inUse() int { return len(s.taken) }
