package migrate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/sharded"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// fileSource is a store of one file a blob. A ref is the hash and the length of the prefix that the blob lies under: a
// folder may have several.
type fileSource struct {
	m      *Migration
	lens   []int
	dirs   map[int]*sharded.Dir
	lock   io.Closer // held for as long as the source is changed; nil: it is not
	ix     *index.Index
	owner  string
	marked bool // .prism was made for the lock
}

func (m *Migration) openFiles() (source, error) {
	s := &fileSource{m: m, dirs: map[int]*sharded.Dir{}}
	var err error
	if s.lens, err = sharded.Prefixes(m.o.FS, m.from); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	for _, n := range s.lens {
		s.dirs[n] = sharded.At(m.o.FS, m.from, n)
	}
	_, err = m.o.FS.Stat(disk.FilesIndex(m.from))
	indexed := err == nil
	if !m.o.Move && !indexed {
		return s, nil // an old cache: it is only looked at
	}
	_, err = m.o.FS.Stat(filepath.Dir(disk.FilesIndex(m.from)))
	s.marked = errors.Is(err, fs.ErrNotExist)
	if s.lock, err = disk.LockFiles(m.o.FS, m.from); err != nil {
		var held *diskfs.LockedError
		if m.o.Move || !errors.As(err, &held) {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		s.owner = held.Owner
		return s, nil
	}
	if indexed {
		if s.ix, err = m.openIndex(disk.FilesIndex(m.from)); err != nil {
			return nil, errors.Join(err, s.lock.Close())
		}
	}
	return s, nil
}

// openIndex opens the index of a source, which this process has locked, for the order in it, and leaves its files as they
// are. Without it the order is told from elsewhere, and there is no error; but what a newer program wrote is left alone.
func (m *Migration) openIndex(dir string) (*index.Index, error) {
	x, err := index.Open(index.Options{FS: pebblefs.New(m.o.FS), Dir: dir, Logger: m.o.Logger, ReadOnly: true})
	if errors.Is(err, index.ErrNewerFormat) {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	if err != nil {
		m.o.Logger.Warn("the source's index cannot be read: its order is told from its blobs", "dir", dir, "err", err)
		return nil, nil
	}
	return x, nil
}

func (s *fileSource) about() (holds, servedBy string) {
	l := mount.Layout{Kind: mount.LayoutEmpty}
	if len(s.lens) > 0 {
		l = mount.Layout{Kind: mount.LayoutSharded, Prefixes: s.lens}
	}
	return l.String(), s.owner
}

func (s *fileSource) scan(ctx context.Context, add func(item) error) error {
	for _, n := range s.lens {
		var stopped error
		err := s.dirs[n].Walk(ctx, func(h blob.Hash) error {
			stopped = s.scanOne(n, h, add)
			return stopped
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if stopped != nil {
			return stopped
		}
		if err != nil {
			s.m.addBad(Bad{Path: s.m.from, Why: fmt.Sprintf("not all of it can be looked at: %v", err)})
		}
	}
	if s.ix != nil {
		if err := s.ix.Close(); err != nil {
			s.m.o.Logger.Warn("the source's index does not close", "err", err)
		}
		s.ix = nil
	}
	if !s.m.o.Move && s.lock != nil { // from here on it may be served
		lock := s.lock
		s.lock = nil
		return lock.Close()
	}
	return nil
}

func (s *fileSource) scanOne(n int, h blob.Hash, add func(item) error) error {
	info, err := s.dirs[n].Stat(h)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var r ref
	copy(r[:], h[:])
	r[blob.HashSize] = byte(n)
	if err != nil {
		if ofTheProcess(err) {
			return err
		}
		b := s.place(r)
		b.Why = err.Error()
		s.m.addBad(b)
		return nil
	}
	it := item{ref: r, size: uint32(min(info.Size, math.MaxUint32))}
	// As package stores/disk orders files: seconds of the last use, and below them what tells two of a second apart.
	it.order = uint64(max(0, info.Used.Unix()))<<30 | uint64(info.Used.Nanosecond())
	if s.ix != nil {
		if row, err := s.ix.Get(h); err == nil {
			it.order = row.Seq
		}
	}
	return add(it)
}

func (s *fileSource) parts(r ref) (*sharded.Dir, blob.Hash) {
	return s.dirs[int(r[blob.HashSize])], blob.Hash(r[:blob.HashSize])
}

// look says KindContent of all: files have no kinds, and the bytes tell.
func (s *fileSource) look(r ref) (blob.Hash, blob.Kind, error) {
	return blob.Hash(r[:blob.HashSize]), blob.KindContent, nil
}

func (s *fileSource) read(r ref, buf []byte) ([]byte, error) {
	f, err := s.open(r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, badf("it is empty")
	case size > blob.MaxSize:
		return nil, badf("it has %d bytes, and no blob has more than %d", size, blob.MaxSize)
	}
	n, err := f.ReadAt(buf[:size], 0)
	if int64(n) < size {
		return nil, err
	}
	return buf[:size], nil
}

// open opens a file in a way that leaves its time of access as it is: the next run, if this one is killed, and whoever
// serves the source tell the order by it. That takes the right to write it.
func (s *fileSource) open(r ref) (diskfs.File, error) {
	d, h := s.parts(r)
	f, err := s.m.o.FS.Open(d.Path(h), true)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		f, err = s.m.o.FS.Open(d.Path(h), false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	return f, err
}

func (s *fileSource) place(r ref) Bad {
	d, h := s.parts(r)
	return Bad{Hash: h.String(), Path: d.Path(h)}
}

// unlinkers is how many files are unlinked at once: each may wait for the disk.
const unlinkers = 4

// free unlinks files. A power cut may bring some back: the next run finds them in both places.
func (s *fileSource) free(rs []ref) (int, error) {
	var freed atomic.Int64
	var errs [unlinkers]error
	var wg sync.WaitGroup
	for k := range unlinkers {
		wg.Go(func() {
			for i := k; i < len(rs) && errs[k] == nil; i += unlinkers {
				d, h := s.parts(rs[i])
				if errs[k] = d.Unlink(h); errs[k] == nil {
					freed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(freed.Load()), errors.Join(errs[:]...)
}

// finish removes the folders that are empty now; others stay.
func (s *fileSource) finish() error {
	fsys := s.m.o.FS
	for _, n := range s.lens {
		if n == 0 {
			continue
		}
		var empty []string
		err := diskfs.EachName(fsys, s.m.from, func(name string) error {
			if len(name) == n && isHex(name) {
				empty = append(empty, name)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("migrate: look at %s: %w", s.m.from, err)
		}
		for _, name := range empty {
			_ = fsys.Remove(filepath.Join(s.m.from, name)) // one that has something in it is not removed
		}
	}
	return nil
}

func isHex(name string) bool {
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (s *fileSource) close() error {
	var err error
	if s.ix != nil {
		err = s.ix.Close()
	}
	if s.lock == nil {
		return err
	}
	hidden := filepath.Dir(disk.FilesIndex(s.m.from))
	if s.marked { // nothing of ours stays in an old cache
		_ = s.m.o.FS.Remove(filepath.Join(hidden, "lock"))
		_ = s.m.o.FS.Remove(hidden)
	}
	return errors.Join(err, s.lock.Close())
}

// The ref of a record in a segment: the segment and the slot.
func refOf(segment uint64, slot uint32) ref {
	var r ref
	binary.BigEndian.PutUint64(r[:], segment)
	binary.BigEndian.PutUint32(r[8:], slot)
	return r
}
