package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// walkBatch is how many blobs one commit of the walk adds or drops.
const walkBatch = 64

// walkLoop brings the index in line with the folder, once: it removes leftovers, adds files that the index lacks, and
// drops rows whose file is gone.
func (s *files) walkLoop() {
	ctx := s.stopping
	if n, err := s.dir.CleanTemp(ctx); err != nil {
		s.walkFault(err)
	} else if n > 0 {
		s.log.Info("unfinished files of an earlier run were removed", "files", n)
	}
	added, err := s.addUnknown(ctx)
	if s.walkFault(err) {
		return
	}
	dropped, err := s.dropDangling(ctx)
	if s.walkFault(err) {
		return
	}
	err = s.commit(&change{sync: true, edit: func(t *index.SegmentRow) { t.State = index.StateSealed }})
	if s.walkFault(err) {
		return
	}
	s.complete.Store(true)
	s.space.setSlack(false)
	s.measure()
	close(s.walked)
	poke(s.evictNow)
	if added > 0 || dropped > 0 {
		s.log.Info("the index was brought in line with the files", "added", added, "dropped", dropped)
	}
}

// WaitRecovered waits until the index is in line with the folder. Errors: ctx's, or that the walk has ended before.
func (s *files) WaitRecovered(ctx context.Context) error {
	select {
	case <-s.walked:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("disk: %w", context.Cause(ctx))
	case <-s.stopping.Done():
		return errClosed
	case <-s.ix.Failed():
		return errIndexFailed
	}
}

// walkFault notes what went wrong, and says whether the walk cannot go on. Folders that could not be listed are not a
// reason: nobody can say when they can.
func (s *files) walkFault(err error) (stop bool) {
	if err == nil {
		return false
	}
	if s.stopping.Err() != nil || s.ix.Err() != nil {
		return true
	}
	s.fault("walk", err)
	s.log.Warn("not all of the folder could be looked at", "err", err)
	return false
}

// batches calls do with every walkBatch of what is given to add, and with the rest at flush.
type batches struct {
	hashes []blob.Hash
	do     func([]blob.Hash) (int, error)
	done   int
}

func (b *batches) add(h blob.Hash) error {
	b.hashes = append(b.hashes, h)
	if len(b.hashes) < walkBatch {
		return nil
	}
	return b.flush()
}

func (b *batches) flush() error {
	if len(b.hashes) == 0 {
		return nil
	}
	n, err := b.do(b.hashes)
	b.done += n
	b.hashes = b.hashes[:0]
	return err
}

// addUnknown gives rows to files that have none.
func (s *files) addUnknown(ctx context.Context) (int, error) {
	b := &batches{do: s.addRows}
	err := s.dir.Walk(ctx, func(h blob.Hash) error {
		if _, err := s.ix.Get(h); !errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		return b.add(h)
	})
	return b.done, errors.Join(err, b.flush())
}

// addRows adds files, unproven, as old as their last use. What cannot be a blob is deleted.
func (s *files) addRows(hashes []blob.Hash) (int, error) {
	defer s.locks.lockAll(hashes)()
	c := &change{edit: func(t *index.SegmentRow) { t.Watermark += uint32(len(hashes)) }}
	counter := s.com.totals().Watermark // the walk alone moves it
	for i, h := range hashes {
		if _, err := s.ix.Get(h); !errors.Is(err, blob.ErrNotFound) {
			continue
		}
		info, err := s.dir.Stat(h)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.fault("walk", err)
			}
			continue
		}
		if info.Size <= 0 || info.Size > blob.MaxSize {
			s.stats.quarantined.Add(1)
			s.log.Warn("a file cannot be a blob and is deleted", "path", s.dir.Path(h), "bytes", info.Size)
			s.fault("unlink", s.dir.Unlink(h))
			continue
		}
		row := index.Entry{
			Location: segments.Location{Length: uint32(info.Size)},
			Seq:      walkSeq(info.Used, counter+uint32(i)),
		}
		c.rows = append(c.rows, rowChange{h, nil, &row})
	}
	if len(c.rows) == 0 {
		return 0, nil
	}
	return len(c.rows), s.commit(c)
}

// dropDangling drops the rows of files that are gone.
func (s *files) dropDangling(ctx context.Context) (int, error) {
	b := &batches{do: s.dropRows}
	err := s.ix.All(func(h blob.Hash, _ index.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := s.dir.Stat(h); !errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return b.add(h)
	})
	return b.done, errors.Join(err, b.flush())
}

func (s *files) dropRows(hashes []blob.Hash) (int, error) {
	defer s.locks.lockAll(hashes)()
	c := &change{sync: true}
	for _, h := range hashes {
		row, known := s.row(h)
		if _, err := s.dir.Stat(h); known && errors.Is(err, fs.ErrNotExist) {
			s.unsynced.drop(h)
			s.open.remove(h, 0)
			c.rows = append(c.rows, rowChange{h, &row, nil})
		}
	}
	if len(c.rows) == 0 {
		return 0, nil
	}
	return len(c.rows), s.commit(c)
}
