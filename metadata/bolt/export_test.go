package bolt

import (
	"context"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// StreamAccessed is the time noted for the stream of an SD blob.
func (c *Catalogue) StreamAccessed(ctx context.Context, sd blob.Hash) (at time.Time, err error) {
	err = c.view(ctx, func(t *tx) error {
		if value := t.streams.Get(sd[:]); value != nil {
			at = readTime(value)
		}
		return nil
	})
	return at, err
}
