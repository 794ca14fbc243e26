package enginetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// caller makes calls, one at a time, and tells the model what they promised. Blobs are named by their index.
type caller struct {
	sync     engine.Sync
	evicting bool // a blob may go at any time, and be put again
	blobs    []blob.Verified
	model    *Model
}

func (c *caller) put(ctx context.Context, e *engine.Engine, i int) error {
	had, err := e.Has(ctx, c.blobs[i].Hash())
	if err != nil {
		return err
	}
	if had && !c.evicting {
		return e.Put(ctx, c.blobs[i], blob.KindContent) // changes nothing that was promised
	}
	c.model.begin(i)
	if err := e.Put(ctx, c.blobs[i], blob.KindContent); err != nil {
		return fmt.Errorf("put %d: %w", i, err)
	}
	c.model.ack(i, c.sync == engine.SyncAlways)
	return nil
}

func (c *caller) delete(ctx context.Context, e *engine.Engine, i int) error {
	c.model.begin(i)
	if err := e.Delete(ctx, c.blobs[i].Hash()); err != nil {
		return fmt.Errorf("delete %d: %w", i, err)
	}
	c.model.set(i, Absent)
	return nil
}

// get reads a blob. It must be there if it was put and may not be evicted, and not if it was deleted.
func (c *caller) get(ctx context.Context, e *engine.Engine, i int) error {
	there, err := read(ctx, e, c.blobs[i])
	state, acked := c.model.state(i)
	switch {
	case err != nil:
	case there && state == Absent:
		err = errors.New("it is there")
	case !there && !c.evicting && (acked || state == Durable):
		err = errors.New("it is not there")
	default:
		return nil
	}
	return fmt.Errorf("get %d: %w", i, err)
}

func (c *caller) flush(ctx context.Context, e *engine.Engine) error {
	pending := c.model.pending()
	if err := e.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	c.model.flushed(pending)
	return nil
}

func (c *caller) close(e *engine.Engine) error {
	pending := c.model.pending()
	if err := e.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	c.model.flushed(pending)
	return nil
}
