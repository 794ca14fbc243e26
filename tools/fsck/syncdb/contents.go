package syncdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// contents is what a disk has, while nothing else has it open.
type contents interface {
	// list is a compare.List.
	list(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error
	// settled says whether it is known if the disk has a blob.
	settled(h blob.Hash) (bool, error)
	// written is when a blob was written; zero where nobody knows.
	written(h blob.Hash) (time.Time, error)
	// sd gives the bytes of a blob that is an SD blob; nil for others, of which sniffed bytes were read.
	sd(h blob.Hash, kind blob.Kind) (data []byte, sniffed int, err error)
}

// read opens the disk for use, and closes it.
func (t *target) read(ctx context.Context, use func(layout string, d contents) error) error {
	fsys, dir := diskfs.OS(), t.Disk.MountPoint
	mode, prefix, err := t.Disk.Layout()
	if err != nil {
		return err
	}
	if mode == disk.ModeSharded {
		layout := "one file a blob, flat"
		if prefix > 0 {
			layout = fmt.Sprintf("one file a blob, sharding_size %d", prefix)
		}
		d, err := openFiles(fsys, dir, prefix)
		if err != nil {
			return err
		}
		return errors.Join(use(layout, d), d.close())
	}
	return check.Read(ctx, fsys, dir, func(c *check.Contents) error { return use("segments", segmentStore{c}) })
}

// segmentStore is a mount of segments.
type segmentStore struct{ c *check.Contents }

func (s segmentStore) list(ctx context.Context, from blob.Hash, fn func(blob.Hash, int64, blob.Kind) error) error {
	return s.c.List(ctx, from, fn)
}
func (s segmentStore) settled(h blob.Hash) (bool, error)      { return s.c.Settled(h) }
func (s segmentStore) written(h blob.Hash) (time.Time, error) { return s.c.Written(h) }

func (s segmentStore) sd(h blob.Hash, kind blob.Kind) (data []byte, sniffed int, err error) {
	if kind != blob.KindSD {
		return nil, 0, nil
	}
	data, err = s.c.Blob(h)
	return data, 0, err
}
