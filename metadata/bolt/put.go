package bolt

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// PutBlobs is described at metadata.Catalogue.
func (c *Catalogue) PutBlobs(ctx context.Context, blobs []metadata.Blob) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	if err := metadata.CheckAll(blobs); err != nil {
		return err
	}
	for batch := range slices.Chunk(blobs, metadata.BatchSize) {
		err := c.update(ctx, len(batch), func(t *tx) error {
			for _, b := range batch {
				if err := c.putBlob(t, b); err != nil {
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

// putBlob notes a blob as stored.
func (c *Catalogue) putBlob(t *tx, b metadata.Blob) error {
	old, known, err := t.get(b.Hash)
	if err != nil {
		return err
	}
	r := old
	r.stored = true
	if !known {
		r.length = b.Length
	}
	at := metadata.Noted(b.At)
	if c.opts.Tracking == metadata.TrackBlobs && metadata.Replaces(at, r.at) {
		r.at = at
	}
	if err := t.put(b.Hash, r, old, known); err != nil {
		return err
	}
	if c.opts.Tracking == metadata.TrackStreams {
		return t.touchStreams(b.Hash, at)
	}
	return nil
}

// SetLengths is described at metadata.Catalogue.
func (c *Catalogue) SetLengths(ctx context.Context, blobs []metadata.Blob) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	if err := metadata.CheckAll(blobs); err != nil {
		return err
	}
	for batch := range slices.Chunk(blobs, metadata.BatchSize) {
		err := c.update(ctx, len(batch), func(t *tx) error {
			for _, b := range batch {
				old, known, err := t.get(b.Hash)
				if err != nil {
					return err
				}
				if !known {
					continue
				}
				r := old
				r.length = b.Length
				if err := t.put(b.Hash, r, old, true); err != nil {
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

// PutStream is described at metadata.Catalogue.
func (c *Catalogue) PutStream(ctx context.Context, sd metadata.Blob, desc stream.SD) error {
	return c.putStream(ctx, sd, desc, false)
}

// SetStream is described at metadata.Catalogue.
func (c *Catalogue) SetStream(ctx context.Context, sd metadata.Blob, desc stream.SD) error {
	return c.putStream(ctx, sd, desc, true)
}

// putStream notes an SD blob, its stream and what that names. alone says that it names nothing else.
func (c *Catalogue) putStream(ctx context.Context, sd metadata.Blob, desc stream.SD, alone bool) error {
	if err := sd.Check(); err != nil {
		return err
	}
	return c.update(ctx, 1+len(desc.Blobs), func(t *tx) error {
		if err := c.putBlob(t, sd); err != nil {
			return err
		}
		for i, h := range desc.Blobs {
			old, known, err := t.get(h)
			if err != nil {
				return err
			}
			r := old
			if !known {
				r.length = metadata.LengthOf(desc, i)
			}
			if at := metadata.Noted(sd.At); c.opts.Tracking == metadata.TrackBlobs && metadata.Replaces(at, r.at) {
				r.at = at
			}
			if err := t.put(h, r, old, known); err != nil {
				return err
			}
		}
		return c.putLinks(t, sd, desc, alone)
	})
}

// putLinks notes the stream of an SD blob and what it names, if there is one to note.
func (c *Catalogue) putLinks(t *tx, sd metadata.Blob, desc stream.SD, alone bool) error {
	if t.streams.Get(sd.Hash[:]) == nil {
		if !metadata.Notable(desc.StreamHash) || t.names.Get([]byte(desc.StreamHash)) != nil {
			return nil
		}
		var at time.Time
		if c.opts.Tracking == metadata.TrackStreams {
			at = metadata.Noted(sd.At)
		}
		if err := t.streams.Put(sd.Hash[:], append(appendTime(nil, at), desc.StreamHash...)); err != nil {
			return err
		}
		if err := t.names.Put([]byte(desc.StreamHash), sd.Hash[:]); err != nil {
			return err
		}
	}
	if alone {
		if err := t.unlink(sd.Hash); err != nil {
			return err
		}
	}
	before := t.contents.Get(sd.Hash[:])
	list := merge(before, desc.Blobs)
	if before != nil && bytes.Equal(before, list) {
		return nil
	}
	for _, h := range sorted(desc.Blobs) { // neighbours share pages
		if err := t.links.Put(link(h, sd.Hash), nil); err != nil {
			return err
		}
	}
	return t.contents.Put(sd.Hash[:], list)
}

// merge is the hashes that were noted before, followed by those of a list that were not.
func merge(before []byte, list []blob.Hash) []byte {
	out := make([]byte, 0, max(len(before), blob.HashSize*len(list)))
	seen := make(map[blob.Hash]struct{}, len(list))
	add := func(h blob.Hash) {
		if _, ok := seen[h]; !ok {
			seen[h] = struct{}{}
			out = append(out, h[:]...)
		}
	}
	for b := range slices.Chunk(before, blob.HashSize) {
		if len(b) == blob.HashSize {
			add(blob.Hash(b))
		}
	}
	for _, h := range list {
		add(h)
	}
	return out
}

func sorted(hashes []blob.Hash) []blob.Hash {
	out := slices.Clone(hashes)
	slices.SortFunc(out, func(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Block is described at metadata.Catalogue.
func (c *Catalogue) Block(ctx context.Context, hashes []blob.Hash) error {
	if err := c.calls.Begin(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(hashes, metadata.BatchSize) {
		var fresh []blob.Hash
		err := c.view(ctx, func(t *tx) error {
			fresh = fresh[:0]
			for _, h := range sorted(batch) {
				if t.blocked.Get(h[:]) == nil {
					fresh = append(fresh, h)
				}
			}
			return nil
		})
		if err == nil && len(fresh) > 0 {
			err = c.update(ctx, len(fresh), func(t *tx) error {
				for _, h := range fresh {
					if err := t.blocked.Put(h[:], nil); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
