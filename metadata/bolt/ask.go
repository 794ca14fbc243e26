package bolt

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// Stored is described at metadata.Catalogue.
func (c *Catalogue) Stored(ctx context.Context, hashes []blob.Hash) ([]bool, error) {
	return c.each(ctx, hashes, func(t *tx, h blob.Hash) bool { return isStored(t.blobs.Get(h[:])) })
}

// each asks a question about each hash.
func (c *Catalogue) each(ctx context.Context, hashes []blob.Hash, is func(*tx, blob.Hash) bool) ([]bool, error) {
	if err := c.calls.Begin(ctx); err != nil {
		return nil, err
	}
	answers := make([]bool, len(hashes))
	for from := 0; from < len(hashes); from += metadata.BatchSize {
		to := min(from+metadata.BatchSize, len(hashes))
		err := c.view(ctx, func(t *tx) error {
			for i := from; i < to; i++ {
				answers[i] = is(t, hashes[i])
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// Status is described at metadata.Catalogue.
func (c *Catalogue) Status(ctx context.Context, h blob.Hash) (s metadata.Status, err error) {
	err = c.view(ctx, func(t *tx) error {
		s.Stored = isStored(t.blobs.Get(h[:]))
		s.Blocked = t.blocked.Get(h[:]) != nil
		return nil
	})
	return s, err
}

// Missing is described at metadata.Catalogue.
func (c *Catalogue) Missing(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		known = t.streams.Get(sd[:]) != nil
		return t.eachContent(sd, func(h blob.Hash) {
			if !isStored(t.blobs.Get(h[:])) {
				missing = append(missing, h)
			}
		})
	})
	if err != nil {
		return nil, false, err
	}
	return missing, known, nil
}

// eachContent calls fn for what a stream names, in its order.
func (t *tx) eachContent(sd blob.Hash, fn func(blob.Hash)) error {
	for b := range slices.Chunk(t.contents.Get(sd[:]), blob.HashSize) {
		if len(b) != blob.HashSize {
			return fmt.Errorf("%w: half a hash: %s", metadata.ErrUnavailable, mend)
		}
		fn(blob.Hash(b))
	}
	return nil
}

// Links is described at metadata.Catalogue.
func (c *Catalogue) Links(ctx context.Context, sd blob.Hash, streamHash string) (l metadata.Links, err error) {
	err = c.view(ctx, func(t *tx) error {
		if t.streams.Get(sd[:]) == nil {
			l.Taken = !metadata.Notable(streamHash) || t.names.Get([]byte(streamHash)) != nil
			return nil
		}
		l.Known = true
		return t.eachContent(sd, func(h blob.Hash) { l.Blobs = append(l.Blobs, h) })
	})
	if err != nil {
		return metadata.Links{}, err
	}
	return l, nil
}

// HaveStreams is described at metadata.Catalogue.
func (c *Catalogue) HaveStreams(ctx context.Context, sds []blob.Hash) ([]bool, error) {
	return c.each(ctx, sds, func(t *tx, h blob.Hash) bool { return t.streams.Get(h[:]) != nil })
}

// Count is described at metadata.Catalogue.
func (c *Catalogue) Count(ctx context.Context) (n int64, err error) {
	key := keyRows
	if c.opts.SoftDeletes {
		key = keyStored
	}
	err = c.view(ctx, func(t *tx) error {
		n = t.number(key)
		return nil
	})
	return n, err
}

// Walk is described at metadata.Catalogue. Rows are read a batch at a time, so that fn holds up nobody.
func (c *Catalogue) Walk(ctx context.Context, from blob.Hash, fn func(metadata.Row) error) error {
	for {
		rows, err := c.rows(ctx, from)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := metadata.ContextError(ctx); err != nil {
				return err
			}
			if err := fn(r); err != nil {
				return err
			}
		}
		if len(rows) < metadata.BatchSize {
			return nil
		}
		var more bool
		if from, more = after(rows[len(rows)-1].Hash); !more {
			return nil
		}
	}
}

// Blocked is described at metadata.Catalogue.
func (c *Catalogue) Blocked(ctx context.Context, from blob.Hash, fn func(blob.Hash) error) error {
	for {
		var hashes []blob.Hash
		err := c.view(ctx, func(t *tx) error {
			cursor := t.blocked.Cursor()
			for k, _ := cursor.Seek(from[:]); k != nil && len(hashes) < metadata.BatchSize; k, _ = cursor.Next() {
				if len(k) != blob.HashSize {
					return fmt.Errorf("%w: blocked hash %x: %s", metadata.ErrUnavailable, bytes.Clone(k), mend)
				}
				hashes = append(hashes, blob.Hash(k))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, h := range hashes {
			if err := metadata.ContextError(ctx); err != nil {
				return err
			}
			if err := fn(h); err != nil {
				return err
			}
		}
		if len(hashes) < metadata.BatchSize {
			return nil
		}
		var more bool
		if from, more = after(hashes[len(hashes)-1]); !more {
			return nil
		}
	}
}

// rows are the first that are not below from, at most a batch.
func (c *Catalogue) rows(ctx context.Context, from blob.Hash) ([]metadata.Row, error) {
	var rows []metadata.Row
	err := c.view(ctx, func(t *tx) error {
		cursor := t.blobs.Cursor()
		for k, v := cursor.Seek(from[:]); k != nil && len(rows) < metadata.BatchSize; k, v = cursor.Next() {
			r, err := readRow(v)
			if err != nil || len(k) != blob.HashSize {
				return fmt.Errorf("%w: row %x: %s", metadata.ErrUnavailable, bytes.Clone(k), mend)
			}
			out := metadata.Row{Hash: blob.Hash(k), Stored: r.stored, Length: r.length}
			if c.opts.Tracking == metadata.TrackBlobs {
				out.Accessed = r.at
			}
			rows = append(rows, out)
		}
		return nil
	})
	return rows, err
}

// after is the hash that follows.
func after(h blob.Hash) (next blob.Hash, more bool) {
	for i := blob.HashSize - 1; i >= 0; i-- {
		h[i]++
		if h[i] != 0 {
			return h, true
		}
	}
	return h, false
}
