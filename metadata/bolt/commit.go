package bolt

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/OdyseeTeam/prism/metadata"
)

// write is one write that waits for its commit.
type write struct {
	size int // hashes
	do   func(*tx) error
	err  error
	done chan struct{}
}

// view runs one reading transaction. It must be short: pages that it may see are not used again meanwhile.
func (c *Catalogue) view(ctx context.Context, do func(*tx) error) error {
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Leave()
	if err := metadata.ContextError(ctx); err != nil {
		return err
	}
	return recovered(func() error {
		return c.db.View(func(t *bbolt.Tx) error { return do(newTx(t)) })
	})
}

// update runs one writing transaction, which may be shared with others. do may be called more than once. A context that
// ends once the transaction has begun is not looked at: it does not take long.
func (c *Catalogue) update(ctx context.Context, size int, do func(*tx) error) error {
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Leave()
	if err := metadata.ContextError(ctx); err != nil {
		return err
	}
	w := &write{size: size, do: do, done: make(chan struct{})}
	select {
	case c.queue <- w:
		<-w.done
		return w.err
	case <-ctx.Done():
		return metadata.ContextError(ctx)
	}
}

// commitAll commits writes until the queue is closed: those that wait at the same time in one transaction.
func (c *Catalogue) commitAll() {
	defer close(c.ended)
	for first := range c.queue {
		group, size := []*write{first}, first.size
	collect:
		for size < metadata.BatchSize {
			select {
			case w, ok := <-c.queue:
				if !ok {
					break collect
				}
				group, size = append(group, w), size+w.size
			default:
				break collect
			}
		}
		c.commit(group)
	}
}

// commit commits writes together or, when that fails, each alone, so that one that meets damage does not fail others.
func (c *Catalogue) commit(group []*write) {
	err := c.transact(group)
	if err != nil && len(group) > 1 {
		for _, w := range group {
			c.commit([]*write{w})
		}
		return
	}
	for _, w := range group {
		w.err = err
		close(w.done)
	}
}

func (c *Catalogue) transact(group []*write) error {
	if c.stuck {
		return errStuck
	}
	var running *bbolt.Tx
	err := recovered(func() error {
		return c.db.Update(func(t *bbolt.Tx) error {
			running = t
			tx := newTx(t)
			for _, w := range group {
				if err := w.do(tx); err != nil {
					return err
				}
			}
			return tx.count()
		})
	})
	// A transaction that met damage even while it was undone has not given its lock back. The next would wait for ever.
	c.stuck = running != nil && running.DB() != nil
	if err != nil {
		c.opts.Logger.Error("bolt: a commit failed", "path", c.opts.Path, "err", err)
		return fmt.Errorf("write to the catalogue %s: %w", c.opts.Path, explain(err))
	}
	return nil
}

// errStuck is the error of all writes after one that could not be undone.
var errStuck = fmt.Errorf("%w: an earlier write met damage: stop this process, and then: %s", metadata.ErrUnavailable, mend)
