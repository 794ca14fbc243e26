package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// Contents is the blobs of a mount at rest, as its index has them. It is not safe for concurrent use.
type Contents struct {
	c          *checker
	watermarks map[segments.ID]uint32 // after a run that did not end in good order; below them all is settled
	unsettled  map[blob.Hash]struct{} // records above them
	blobs      int64
}

// Read opens the mount in dir for use, and closes it when that returns. Errors are those of Mount, and ErrDamaged where
// what is damaged makes it doubtful which blobs there are; an error of use is returned as it is. It changes no more than
// Mount does. Memory: the records above the watermarks, of which a run that ended in good order leaves none.
func Read(ctx context.Context, fsys diskfs.FS, dir string, use func(*Contents) error) error {
	var used error
	err := read(ctx, fsys, dir, func(c *checker) error {
		t := &Contents{c: c, watermarks: map[segments.ID]uint32{}, unsettled: map[blob.Hash]struct{}{}}
		if err := t.load(ctx); err != nil {
			return err
		}
		used = use(t)
		return nil
	})
	switch {
	case used != nil:
		return errors.Join(used, err)
	case err != nil:
		return fmt.Errorf("read %s: %w", dir, err)
	}
	return nil
}

// load finds out what the last run has left for the next open to settle.
func (t *Contents) load(ctx context.Context) error {
	files, err := t.c.segmentFiles()
	if err != nil {
		return err
	}
	meta, _, err := t.c.ix.Meta()
	if err != nil {
		return err
	}
	rows, err := t.c.ix.Segments()
	if err != nil {
		return err
	}
	for _, row := range rows {
		t.blobs += row.LiveBlobs
		if _, there := files[row.ID]; !there && row.LiveBlobs > 0 {
			return fmt.Errorf("%w: segment %d is missing, which has %d blobs", ErrDamaged, row.ID, row.LiveBlobs)
		}
		t.watermarks[row.ID] = row.Watermark
	}
	if meta.Clean {
		t.watermarks = nil
		return nil
	}
	for id := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := t.scan(id); err != nil {
			return err
		}
	}
	return nil
}

// scan notes the records of a segment that are above its watermark.
func (t *Contents) scan(id segments.ID) error {
	s := segments.At(t.c.fsys, t.c.mnt.SegmentPath(id), t.c.mnt.Superblock().ID, id)
	defer s.Close()
	if _, err := s.Header(); err != nil {
		if errors.Is(err, segments.ErrBadHeader) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return err
	}
	_, err := s.Scan(t.watermarks[id], func(r segments.Record) error {
		t.unsettled[r.Hash] = struct{}{}
		return nil
	})
	return err
}

// Blobs is how many there are.
func (t *Contents) Blobs() int64 { return t.blobs }

// List calls fn for each blob in the order of the hashes, from the first one that is not below from. An error of fn ends
// it, and is returned as it is.
func (t *Contents) List(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error {
	n := 0
	return t.c.ix.AllFrom(from, func(h blob.Hash, e index.Entry) error {
		if n++; n%ctxEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fn(h, int64(e.Length), e.Kind)
	})
}

// Settled says whether it is known if the mount has a blob: it is not where the last run wrote about it, and ended before
// that was safe. The next open finds out.
func (t *Contents) Settled(h blob.Hash) (bool, error) {
	if t.watermarks == nil {
		return true, nil
	}
	if _, open := t.unsettled[h]; open {
		return false, nil
	}
	e, err := t.c.ix.Get(h)
	if errors.Is(err, blob.ErrNotFound) {
		return true, nil
	}
	return err == nil && e.Slot < t.watermarks[e.Segment], err
}

// Written is when a blob was written to this mount, in whole seconds; zero where its slot is not valid.
func (t *Contents) Written(h blob.Hash) (time.Time, error) {
	e, err := t.c.ix.Get(h)
	if err != nil {
		return time.Time{}, err
	}
	s := segments.At(t.c.fsys, t.c.mnt.SegmentPath(e.Segment), t.c.mnt.Superblock().ID, e.Segment)
	defer s.Close()
	rec, err := s.ReadSlot(e.Slot)
	if err != nil || rec.Hash != h {
		return time.Time{}, nil //nolint:nilerr // the blob is there as long as nobody finds otherwise; its age is not known
	}
	return time.Unix(int64(rec.Time), 0).UTC(), nil
}

// Blob reads a blob, and compares it with its CRC and its name: blob.ErrNotFound, blob.ErrCorrupt, ErrDamaged.
func (t *Contents) Blob(h blob.Hash) ([]byte, error) { return t.c.readBlob(h) }
