package serving

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// Slots bounds how many requests are being looked up at once, and how many wait to be.
type Slots struct {
	taken   chan struct{} // one element a slot in use; the channel's queue of senders is first come, first served
	waiting atomic.Int64
	most    int64
	timeout time.Duration
}

// NewSlots makes n slots, for which at most queue requests wait at once, each at most timeout.
func NewSlots(n, queue int, timeout time.Duration) *Slots {
	return &Slots{taken: make(chan struct{}, n), most: int64(queue), timeout: timeout}
}

// Acquire takes a slot, waiting for one if it must. Errors: blob.ErrBusy when too many wait or the wait was too long,
// or the context's.
func (s *Slots) Acquire(ctx context.Context) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > s.most {
		return fmt.Errorf("queue is full: %w", blob.ErrBusy)
	}
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("waited %v for a slot: %w", s.timeout, blob.ErrBusy)
	}
}

// Release gives a slot back.
func (s *Slots) Release() { <-s.taken }

// InUse is the number of slots taken now.
func (s *Slots) InUse() int { return len(s.taken) }

// Waiting is the number of requests that wait for one now.
func (s *Slots) Waiting() int64 { return s.waiting.Load() }
