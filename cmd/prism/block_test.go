package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// catalogue is a store that can block.
type catalogue struct {
	stores.Store
	blocked     []blob.Hash
	failed      error // of Block
	undeletable error
}

func (c *catalogue) Block(_ context.Context, hashes []blob.Hash) error {
	c.blocked = append(c.blocked, hashes...)
	return c.failed
}

func (c *catalogue) Delete(ctx context.Context, h blob.Hash) error {
	return errors.Join(c.undeletable, c.Store.Delete(ctx, h))
}

// over is a store with one child.
type over struct{ stores.Store }

func (o over) Unwrap() stores.Store { return o.Store }

// A blocked hash goes into the catalogue below, and out of the store only where that is asked for.
func TestBlockIn(t *testing.T) {
	v := storetest.Blob(t, 1, 100)
	readOnly := fmt.Errorf("the origin only reads: %w", errors.ErrUnsupported)
	broken := errors.New("the disk is broken")
	for _, deletes := range []bool{false, true} {
		c := &catalogue{Store: mem.New(mem.Options{})}
		if err := c.Put(t.Context(), v, blob.KindSD); err != nil {
			t.Fatal(err)
		}
		block := blockIn(over{over{c}}, deletes)
		if err := block(t.Context(), []blob.Hash{v.Hash()}); err != nil || !slices.Equal(c.blocked, []blob.Hash{v.Hash()}) {
			t.Errorf("blocked %v, %v", c.blocked, err)
		}
		if has, err := c.Has(t.Context(), v.Hash()); err != nil || has == deletes {
			t.Errorf("deletes %v: it is there: %v, %v", deletes, has, err)
		}
		c.failed = broken
		if err := block(t.Context(), []blob.Hash{v.Hash()}); !errors.Is(err, broken) {
			t.Errorf("a catalogue that fails: %v", err)
		}
		c.failed, c.undeletable = nil, readOnly
		if err := block(t.Context(), []blob.Hash{v.Hash()}); err != nil {
			t.Errorf("an origin that only reads: %v", err)
		}
		c.undeletable = errors.Join(readOnly, fmt.Errorf("caching: %w", broken))
		if err := block(t.Context(), []blob.Hash{v.Hash()}); deletes && (!errors.Is(err, broken) || errors.Is(err, errors.ErrUnsupported)) || !deletes && err != nil {
			t.Errorf("deletes %v, a disk that fails: %v", deletes, err)
		}
	}
	plain := mem.New(mem.Options{})
	if blockIn(plain, false) != nil {
		t.Error("there is something to be done in a store that cannot block")
	}
	if blockIn(plain, true) == nil {
		t.Error("there is nothing to be done where blobs are to be deleted")
	}
}
