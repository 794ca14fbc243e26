package metadata

import (
	"context"
	"fmt"
	"sync"
)

// Calls is the calls of a catalogue that are under way. The zero value is one that is open.
type Calls struct {
	mu     sync.Mutex
	closed bool
	under  sync.WaitGroup // they begin under mu
}

// Enter begins a call, which ends with Leave. After Close it is ErrUnavailable, and there is nothing to leave.
func (c *Calls) Enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("%w: it is closed", ErrUnavailable)
	}
	c.under.Add(1)
	return nil
}

// Leave ends a call.
func (c *Calls) Leave() { c.under.Done() }

// Begin is Enter of a call of several batches, each of which enters by itself: an error after Close, or when the context
// has ended, even where there are no batches.
func (c *Calls) Begin(ctx context.Context) error {
	if err := c.Enter(); err != nil {
		return err
	}
	c.Leave()
	return ContextError(ctx)
}

// Close has all later calls fail, and waits for those under way. again says that it was closed before.
func (c *Calls) Close() (again bool) {
	c.mu.Lock()
	again, c.closed = c.closed, true
	c.mu.Unlock()
	c.under.Wait()
	return again
}
