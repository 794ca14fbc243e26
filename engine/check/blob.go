package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// ReadBlob reads a blob of the mount in dir, and compares it with its CRC and its name. Errors are those of Mount, and
// blob.ErrNotFound, blob.ErrCorrupt, and ErrDamaged when it is the mount that is. It changes no more than Mount does.
func ReadBlob(ctx context.Context, fsys diskfs.FS, dir string, h blob.Hash) ([]byte, error) {
	var data []byte
	err := read(ctx, fsys, dir, func(c *checker) error {
		var err error
		data, err = c.readBlob(h)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s in %s: %w", h, dir, err)
	}
	return data, nil
}

func (c *checker) readBlob(h blob.Hash) ([]byte, error) {
	e, err := c.ix.Get(h)
	if err != nil {
		return nil, err
	}
	s := segments.At(c.fsys, c.mnt.SegmentPath(e.Segment), c.mnt.Superblock().ID, e.Segment)
	defer s.Close()
	hdr, err := s.Header()
	if errors.Is(err, segments.ErrBadHeader) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	if !e.Fits(hdr) {
		return nil, fmt.Errorf("%w: its row in the index points past the end of segment %d", ErrDamaged, e.Segment)
	}
	data := make([]byte, e.Length)
	if err := s.ReadPayload(e.Location, data); err != nil {
		return nil, err
	}
	if got := blob.Sum(data); got != h {
		return nil, fmt.Errorf("%w: the bytes at %d:%d are those of %s", blob.ErrCorrupt, e.Segment, e.Slot, got)
	}
	return data, nil
}
