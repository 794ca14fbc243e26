package bolt

import (
	"context"
	"slices"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// Touch is described at metadata.Catalogue.
func (c *Catalogue) Touch(ctx context.Context, accesses []metadata.Access) error {
	if err := c.calls.Begin(ctx); err != nil || c.opts.Tracking == metadata.TrackNone {
		return err
	}
	for batch := range slices.Chunk(accesses, metadata.BatchSize) {
		if fresh, err := c.allFresh(ctx, batch); err != nil || fresh {
			if err != nil {
				return err
			}
			continue
		}
		err := c.update(ctx, len(batch), func(t *tx) error {
			for _, a := range batch {
				if err := c.touch(t, a); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// allFresh says whether a batch of accesses changes nothing, as most do not: then it costs no commit.
func (c *Catalogue) allFresh(ctx context.Context, batch []metadata.Access) (fresh bool, err error) {
	err = c.view(ctx, func(t *tx) error {
		for _, a := range batch {
			at := metadata.Noted(a.At)
			stale := false
			look := func(noted time.Time) { stale = stale || metadata.Replaces(at, noted) }
			switch c.opts.Tracking {
			case metadata.TrackBlobs:
				r, known, err := t.get(a.Hash)
				if err != nil {
					return err
				}
				if known {
					look(r.at)
				}
			default:
				if err := t.eachStream(a.Hash, func(_ blob.Hash, value []byte) error {
					look(readTime(value))
					return nil
				}); err != nil {
					return err
				}
			}
			if stale {
				return nil
			}
		}
		fresh = true
		return nil
	})
	return fresh, err
}

// touch notes one access.
func (c *Catalogue) touch(t *tx, a metadata.Access) error {
	at := metadata.Noted(a.At)
	if c.opts.Tracking == metadata.TrackStreams {
		return t.touchStreams(a.Hash, at)
	}
	old, known, err := t.get(a.Hash)
	if err != nil || !known || !metadata.Replaces(at, old.at) {
		return err
	}
	r := old
	r.at = at
	return t.put(a.Hash, r, old, true)
}

// touchStreams notes an access on the streams of a blob.
func (t *tx) touchStreams(h blob.Hash, at time.Time) error {
	type stream struct {
		sd    blob.Hash
		value []byte
	}
	var stale []stream // changed only when the cursor is done
	err := t.eachStream(h, func(sd blob.Hash, value []byte) error {
		if metadata.Replaces(at, readTime(value)) {
			stale = append(stale, stream{sd, append(appendTime(nil, at), value[timeSize:]...)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range stale {
		if err := t.streams.Put(s.sd[:], s.value); err != nil {
			return err
		}
	}
	return nil
}

// eachStream calls fn for the stream of an SD blob and for those that name a content blob.
func (t *tx) eachStream(h blob.Hash, fn func(sd blob.Hash, value []byte) error) error {
	visit := func(sd blob.Hash) error {
		if value := t.streams.Get(sd[:]); len(value) >= timeSize {
			return fn(sd, value)
		}
		return nil
	}
	if err := visit(h); err != nil {
		return err
	}
	return t.streamsOf(h, visit)
}

// Delete is described at metadata.Catalogue.
func (c *Catalogue) Delete(ctx context.Context, hashes []blob.Hash) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(hashes, metadata.BatchSize) {
		err := c.update(ctx, len(batch), func(t *tx) error {
			if c.opts.SoftDeletes {
				return t.unstore(batch)
			}
			return t.delete(batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unstore notes blobs as not stored.
func (t *tx) unstore(hashes []blob.Hash) error {
	for _, h := range hashes {
		old, known, err := t.get(h)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		r := old
		r.stored = false
		if err := t.put(h, r, old, true); err != nil {
			return err
		}
	}
	return nil
}

// delete removes streams, then the blobs that no stream names.
func (t *tx) delete(hashes []blob.Hash) error {
	for _, h := range hashes {
		if err := t.deleteStream(h); err != nil {
			return err
		}
	}
	for _, h := range hashes {
		old, known, err := t.get(h)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		named := false
		if err := t.streamsOf(h, func(blob.Hash) error { named = true; return nil }); err != nil {
			return err
		}
		if named {
			r := old
			r.stored = false
			err = t.put(h, r, old, true)
		} else {
			err = t.remove(h, old)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteStream removes the stream of an SD blob, and its links.
func (t *tx) deleteStream(sd blob.Hash) error {
	value := t.streams.Get(sd[:])
	if len(value) < timeSize {
		return nil
	}
	name := slices.Clone(value[timeSize:])
	if err := t.unlink(sd); err != nil {
		return err
	}
	if err := t.streams.Delete(sd[:]); err != nil {
		return err
	}
	return t.names.Delete(name)
}

// unlink removes what a stream names, and its links.
func (t *tx) unlink(sd blob.Hash) error {
	contents := slices.Clone(t.contents.Get(sd[:])) // what a bucket gives does not outlive its changes
	for b := range slices.Chunk(contents, blob.HashSize) {
		if len(b) != blob.HashSize {
			continue
		}
		if err := t.links.Delete(link(blob.Hash(b), sd)); err != nil {
			return err
		}
	}
	return t.contents.Delete(sd[:])
}
