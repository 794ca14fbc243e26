package syncdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/sharded"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// fileStore is a disk with one file a blob. The files themselves say what there is; the index beside them may be behind.
type fileStore struct {
	fsys   diskfs.FS
	root   string
	prefix int
	dir    *sharded.Dir
	lock   io.Closer
	marked bool // .prism was made for the lock

	folders []string    // in their order; flat: one that has no name
	at      int         // the folder of which names are; -1: none was read
	names   []blob.Hash // in their order
	head    [sniffSize]byte
}

func openFiles(fsys diskfs.FS, root string, prefix int) (*fileStore, error) {
	s := &fileStore{fsys: fsys, root: root, prefix: prefix, dir: sharded.At(fsys, root, prefix), at: -1, folders: []string{""}}
	_, err := fsys.Stat(disk.Beside(root, ""))
	s.marked = errors.Is(err, fs.ErrNotExist)
	if s.lock, err = disk.LockFiles(fsys, root); err != nil {
		return nil, err
	}
	if prefix == 0 {
		return s, nil
	}
	s.folders = nil
	err = diskfs.EachName(fsys, root, func(name string) error {
		if len(name) == prefix && isHex(name) {
			s.folders = append(s.folders, name)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("list %s: %w", root, err), s.close())
	}
	slices.Sort(s.folders)
	return s, nil
}

// isHex says whether a name is one that a folder of blobs has.
func isHex(name string) bool {
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// close gives the lock back. Nothing of ours stays in a folder that no program of ours has served.
func (s *fileStore) close() error {
	if s.marked {
		_ = s.fsys.Remove(filepath.Join(disk.Beside(s.root, ""), "lock"))
		_ = s.fsys.Remove(disk.Beside(s.root, ""))
	}
	return s.lock.Close()
}

// list gives files in the order of their names. One that no blob can be, by its length, is none: the store deletes such.
func (s *fileStore) list(ctx context.Context, from blob.Hash, fn func(blob.Hash, int64, blob.Kind) error) error {
	first, _ := slices.BinarySearch(s.folders, from.String()[:s.prefix])
	for i := first; i < len(s.folders); i++ {
		if err := s.load(i); err != nil {
			return err
		}
		begin, _ := slices.BinarySearchFunc(s.names, from, compareHashes)
		for _, h := range s.names[begin:] {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			info, err := s.dir.Stat(h)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return fmt.Errorf("look at a blob: %w", err)
			case info.Size < 1 || info.Size > blob.MaxSize:
				continue
			}
			if err := fn(h, info.Size, blob.KindContent); err != nil {
				return err
			}
		}
	}
	return nil
}

func compareHashes(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) }

// load reads the names in a folder, unless that was done. One that cannot be read ends the run: its blobs are not gone.
func (s *fileStore) load(i int) error {
	if s.at == i {
		return nil
	}
	s.at, s.names = -1, s.names[:0]
	folder := filepath.Join(s.root, s.folders[i])
	if info, err := s.fsys.Stat(folder); err == nil && info.Mode().IsRegular() { // a foreign file, of such a name
		s.at = i
		return nil
	}
	err := diskfs.EachName(s.fsys, folder, func(name string) error {
		h, err := blob.ParseHash(name)
		if err == nil && name[:s.prefix] == s.folders[i] {
			s.names = append(s.names, h)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", folder, err)
	}
	slices.SortFunc(s.names, compareHashes)
	s.at = i
	return nil
}

// settled: a file is there, or it is not.
func (s *fileStore) settled(blob.Hash) (bool, error) { return true, nil }

func (s *fileStore) written(h blob.Hash) (time.Time, error) {
	info, err := s.fsys.Stat(s.dir.Path(h))
	if err != nil {
		return time.Time{}, fmt.Errorf("look at a blob: %w", err)
	}
	return info.ModTime(), nil
}

// open opens a file in a way that leaves its time of access as it is, by which an old cache is ordered. That takes the
// right to write it.
func (s *fileStore) open(h blob.Hash) (diskfs.File, error) {
	f, err := s.fsys.Open(s.dir.Path(h), true)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		f, err = s.fsys.Open(s.dir.Path(h), false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrNotFound
	}
	return f, err
}

// sniffSize is how much of a file is read to see whether more of it is worth it.
const sniffSize = 512

// sd looks at the first bytes, since files have no kinds, and reads on where they may be those of an SD blob.
func (s *fileStore) sd(h blob.Hash, _ blob.Kind) (data []byte, sniffed int, err error) {
	f, err := s.open(h)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", s.dir.Path(h), err)
	}
	if size < 1 || size > blob.MaxSize {
		return nil, 0, fmt.Errorf("%s: %w: it has %d bytes", s.dir.Path(h), blob.ErrCorrupt, size)
	}
	head := s.head[:min(sniffSize, size)]
	if n, err := f.ReadAt(head, 0); n < len(head) {
		return nil, 0, fmt.Errorf("read %s: %w", s.dir.Path(h), err)
	}
	if !stream.MaySniff(head) {
		return nil, len(head), nil
	}
	data = make([]byte, size)
	if n, err := f.ReadAt(data, 0); int64(n) < size {
		return nil, 0, fmt.Errorf("read %s: %w", s.dir.Path(h), err)
	}
	if stream.Sniff(data) != blob.KindSD {
		return nil, len(head), nil
	}
	if _, err := blob.Verify(h, data); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", s.dir.Path(h), err)
	}
	return data, 0, nil
}
