package migrate

import (
	"context"
	"sync"
	"time"
)

// pace keeps reads to a number of bytes a second; 0 is no bound. Pauses are not made up for later.
type pace struct {
	perSecond int64

	mu   sync.Mutex
	next time.Time // when the next read may begin
}

// wait waits for the turn of a read of n bytes.
func (p *pace) wait(ctx context.Context, n int64) error {
	if p.perSecond == 0 {
		return context.Cause(ctx)
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(time.Duration(float64(n) / float64(p.perSecond) * float64(time.Second)))
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
