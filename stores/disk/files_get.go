package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/segments"
)

// openTries bounds how often one Get opens a file beside removals of it, before it waits for them.
const openTries = 3

// Has says whether Get would find the blob: a file that is not proven is read for that.
func (s *files) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	if s.open.reading(h) {
		return true, nil
	}
	row, known := s.row(h)
	info, err := s.dir.Stat(h)
	if known && err == nil && s.trusted(h, row, info.Size) {
		return true, nil
	}
	f, err := s.find(ctx, h)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.release(f)
	return true, nil
}

// Get pins a blob.
func (s *files) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	f, err := s.find(ctx, h)
	if err != nil {
		if errors.Is(err, blob.ErrNotFound) {
			s.stats.misses.Add(1)
		}
		return nil, err
	}
	s.touched.set(h)
	s.stats.hits.Add(1)
	s.stats.hitBytes.Add(f.size)
	return &fileHandle{s: s, f: f}, nil
}

// find takes a reference of a blob's proven file.
func (s *files) find(ctx context.Context, h blob.Hash) (*openFile, error) {
	if f := s.open.acquire(h); f != nil {
		return f, nil
	}
	for range openTries {
		gen := s.open.generation(h)
		row, known := s.row(h)
		file, size, err := s.dir.Open(h)
		if err != nil {
			if !known && errors.Is(err, fs.ErrNotExist) {
				return nil, blob.ErrNotFound
			}
			break
		}
		if !known || !s.trusted(h, row, size) {
			s.fault("close", file.Close())
			break
		}
		if f, ok := s.list(h, file, size, gen); ok {
			return f, nil
		}
	}
	return s.prove(ctx, h)
}

// list shares an open file with other readers; ok is false, and the file closed, after a removal since gen.
func (s *files) list(h blob.Hash, file diskfs.File, size int64, gen uint64) (f *openFile, ok bool) {
	mine := newOpenFile(h, file, size)
	f, ok = s.open.add(mine, gen)
	if f != mine {
		s.fault("close", file.Close())
	}
	return f, ok
}

// release gives back a reference that find took.
func (s *files) release(f *openFile) {
	charge, err := s.open.release(f)
	s.fault("close", err)
	s.space.ungrab(charge)
}

// row is what the index knows of a blob. An index that cannot tell knows nothing: the file is then proven anew.
func (s *files) row(h blob.Hash) (index.Entry, bool) {
	e, err := s.ix.Get(h)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		s.fault("index", err)
	}
	return e, err == nil
}

// trusted says whether a file of that size is served without reading it first.
func (s *files) trusted(h blob.Hash, row index.Entry, size int64) bool {
	return int64(row.Length) == size && (proven(row) || s.unsynced.has(h))
}

// prove finds a blob under its lock, and reads its file whole where it is not proven. What is wrong with a file ends it,
// and is a miss.
func (s *files) prove(ctx context.Context, h blob.Hash) (*openFile, error) {
	unlock, err := s.locks.lock(ctx, h)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	defer unlock()
	if f := s.open.acquire(h); f != nil {
		return f, nil
	}
	gen := s.open.generation(h)
	row, known := s.row(h)
	file, size, err := s.openRegular(h)
	if err != nil {
		return nil, s.cannotOpen(h, row, known, err)
	}
	if !known || !s.trusted(h, row, size) {
		if err := s.readWhole(ctx, h, row, known, file, size); err != nil {
			s.fault("close", file.Close())
			return nil, err
		}
	}
	f, _ := s.list(h, file, size, gen) // nothing is removed while this holds the lock
	return f, nil
}

// openRegular opens what is under a blob's name if it is a regular file; anything else does not exist.
func (s *files) openRegular(h blob.Hash) (diskfs.File, int64, error) {
	if _, err := s.dir.Stat(h); err != nil {
		return nil, 0, err
	}
	return s.dir.Open(h)
}

// cannotOpen sorts out why a file could not be opened. A missing one loses its row, durably: see dropRow.
func (s *files) cannotOpen(h blob.Hash, row index.Entry, known bool, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if known {
			if err := s.dropRow(h, row); err != nil {
				s.log.Warn("a row whose file is gone stays", "blob", h.String(), "err", err)
			}
		}
		return blob.ErrNotFound
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EUCLEAN):
		s.fault("read", err)
		return fmt.Errorf("disk: %w: %w", blob.ErrNotFound, err)
	}
	s.fault("read", err)
	return fmt.Errorf("disk: %w: %w", blob.ErrUnavailable, err)
}

// dropRow removes a blob's row, under its lock. A row that is proven never outlives its file, or a power cut could leave
// it pointing at what a later Put had not made durable yet: so the removal is synced before anything is done to the file.
func (s *files) dropRow(h blob.Hash, row index.Entry) error {
	s.unsynced.drop(h)
	return s.commitRow(h, &row, nil, true)
}

// readWhole compares a file with its name, and makes it proven.
func (s *files) readWhole(ctx context.Context, h blob.Hash, row index.Entry, known bool, file diskfs.File, size int64) error {
	if size <= 0 || size > blob.MaxSize {
		return s.discard(h, row, known, fmt.Errorf("%w: it has %d bytes", blob.ErrCorrupt, size))
	}
	buf, err := s.proofs.Get(ctx)
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	defer s.proofs.Put(buf)
	if n, err := file.ReadAt(buf[:size], 0); int64(n) < size {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		s.fault("read", err)
		return fmt.Errorf("disk: read %s: %w: %w", h.Short(), blob.ErrNotFound, err)
	}
	v, err := s.lanes.Verify(h, buf[:size])
	if err != nil {
		return s.discard(h, row, known, err)
	}
	s.stats.recovered.Add(1)
	s.accept(v, row, known, file)
	return nil
}

// accept gives a file that was found right its row: proven, if it can be made durable.
func (s *files) accept(v blob.Verified, row index.Entry, known bool, file diskfs.File) {
	now := index.Entry{Location: segments.Location{Length: uint32(v.Size())}, Seq: s.seq.next(), Kind: stream.Sniff(v.Bytes())}
	var old *index.Entry
	if known {
		old, now.Seq = &row, row.Seq&^seqProven
	}
	if err := s.dir.SyncOpen(v.Hash(), file); err != nil {
		s.fault("sync", err)
	} else {
		now.Seq |= seqProven
	}
	if known && now == row {
		return
	}
	if err := s.commitRow(v.Hash(), old, &now, false); err != nil {
		s.log.Warn("a file was proven, and that could not be noted", "blob", v.Hash().String(), "err", err)
	}
}

// discard deletes a file that is not what its name says, and answers a miss. It could never be served, and without it the
// blob can be filled again.
func (s *files) discard(h blob.Hash, row index.Entry, known bool, why error) error {
	s.fault("corrupt", why)
	s.stats.quarantined.Add(1)
	s.log.Warn("a file is not what its name says and is deleted; it will be fetched again when asked for",
		"path", s.dir.Path(h), "why", why)
	if err := s.erase(h, row, known); err != nil {
		s.log.Warn("a bad file stays", "path", s.dir.Path(h), "err", err)
	}
	return fmt.Errorf("disk: %s: %w: %w", h.Short(), blob.ErrNotFound, why)
}

// erase removes a blob's row and then its file, under its lock. Readers keep what they have.
func (s *files) erase(h blob.Hash, row index.Entry, known bool) error {
	charge := int64(0)
	if known {
		charge = segments.Blocks(row.Length)
		s.space.grab(charge)
		if err := s.dropRow(h, row); err != nil {
			s.space.ungrab(charge)
			return err
		}
	}
	return s.removeFile(h, charge, s.dir.Remove)
}

// removeFile takes away the file of a blob whose row is gone, and gives its charge back, or leaves that to its readers. A
// file that stays keeps its charge.
func (s *files) removeFile(h blob.Hash, charge int64, remove func(blob.Hash) error) error {
	readers := s.open.remove(h, charge)
	err := remove(h)
	if err != nil {
		s.fault("unlink", err)
		return err
	}
	if !readers {
		s.space.ungrab(charge)
	}
	return nil
}
