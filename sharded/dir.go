package sharded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// MaxPrefix is the longest prefix; a folder named by a whole hash could not be told from a blob.
const MaxPrefix = blob.HexSize - 1

// ErrPrefix: the length of the prefix is out of range.
var ErrPrefix = errors.New("sharding size is out of range")

// tempDir is the name of the folder for files that are being written; tempMark starts the names that a Dir gives them.
const (
	tempDir  = "tmp"
	tempMark = "prism-"
)

// staleTemp is how old a blob-named file in tmp/ must be before nobody can still be writing it.
const staleTemp = 24 * time.Hour

// Dir is a root with one file a blob. All methods are safe for concurrent use; two writes or removals of the same blob
// at once leave either outcome.
type Dir struct {
	fsys   diskfs.FS
	root   string
	prefix int
	temp   tempNames
	shards shards
}

// Open prepares the root, which must exist: it makes tmp/, and makes durable what an earlier process may have made in
// the root. prefix is n above, 0 to MaxPrefix.
func Open(fsys diskfs.FS, root string, prefix int) (*Dir, error) {
	if prefix < 0 || prefix > MaxPrefix {
		return nil, fmt.Errorf("sharded: %w: %d, want 0 to %d", ErrPrefix, prefix, MaxPrefix)
	}
	d := &Dir{fsys: fsys, root: root, prefix: prefix, temp: newTempNames(filepath.Join(root, tempDir))}
	err := fsys.Mkdir(d.temp.dir)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("sharded: make %s: %w", d.temp.dir, err)
	}
	if err := fsys.SyncDir(root); err != nil {
		return nil, fmt.Errorf("sharded: sync %s: %w", root, err)
	}
	return d, nil
}

// At names a root that is only read or removed from, without touching the disk: Write needs Open.
func At(fsys diskfs.FS, root string, prefix int) *Dir {
	return &Dir{fsys: fsys, root: root, prefix: prefix, temp: newTempNames(filepath.Join(root, tempDir))}
}

// Prefixes gives the lengths of the prefixes under which blobs may lie in the root, in ascending order: 0 for a name that
// is a blob's, n for a folder that is named by n hexadecimal characters. It looks at all names of the root.
func Prefixes(fsys diskfs.FS, root string) ([]int, error) {
	var seen [blob.HexSize]bool
	err := diskfs.EachName(fsys, root, func(name string) error {
		if n := len(name) % blob.HexSize; len(name) <= blob.HexSize && isHex(name) {
			seen[n] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sharded: look at %s: %w", root, err)
	}
	var lengths []int
	for n, ok := range seen {
		if ok {
			lengths = append(lengths, n)
		}
	}
	return lengths, nil
}

// Path is where a blob is, or would be.
func (d *Dir) Path(h blob.Hash) string { return filepath.Join(d.folder(h), h.String()) }

// folder is the folder of a blob.
func (d *Dir) folder(h blob.Hash) string {
	if d.prefix == 0 {
		return d.root
	}
	return filepath.Join(d.root, h.String()[:d.prefix])
}

// Open opens a blob's file for reading and says how long it is. Its bytes were not verified. A missing one is
// fs.ErrNotExist. The caller closes the file, which stays readable when the blob is removed.
func (d *Dir) Open(h blob.Hash) (diskfs.File, int64, error) {
	f, err := d.fsys.Open(d.Path(h), false)
	if err != nil {
		return nil, 0, fmt.Errorf("sharded: open %s: %w", h.Short(), err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("sharded: open %s: %w", h.Short(), err), f.Close())
	}
	return f, size, nil
}

// Info is what a folder says of a blob.
type Info struct {
	Size int64     // of the file, in bytes
	Used time.Time // when it was last written or, as far as the file system notes it, read
}

// Stat looks a blob up without opening it. What is missing, or is not a regular file, is fs.ErrNotExist.
func (d *Dir) Stat(h blob.Hash) (Info, error) {
	info, err := d.fsys.Stat(d.Path(h))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: not a regular file", fs.ErrNotExist)
	}
	if err != nil {
		return Info{}, fmt.Errorf("sharded: look up %s: %w", h.Short(), err)
	}
	return Info{Size: info.Size(), Used: lastUse(info)}, nil
}

// Remove unlinks a blob. It is gone across power cuts once Remove returns nil. A missing one is no error.
func (d *Dir) Remove(h blob.Hash) error {
	err := d.Unlink(h)
	if err == nil {
		err = d.fsys.SyncDir(d.folder(h))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the folder may be missing too
		return fmt.Errorf("sharded: remove %s: %w", h.Short(), err)
	}
	return nil
}

// Unlink is Remove without the promise: a power cut may bring the file back. A missing one is no error.
func (d *Dir) Unlink(h blob.Hash) error {
	if err := d.fsys.Remove(d.Path(h)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sharded: remove %s: %w", h.Short(), err)
	}
	return nil
}

// Walk calls fn for every name in the root that is a blob's, in no order, until fn fails or ctx ends; memory stays
// bounded. Names that came or went meanwhile may be seen or not, and a name says nothing about what it holds. A folder
// that cannot be listed is skipped; the first such error is returned in the end.
func (d *Dir) Walk(ctx context.Context, fn func(h blob.Hash) error) error {
	if d.prefix == 0 {
		return d.walkFolder(ctx, d.root, "", fn)
	}
	var skipped, stopped error
	err := diskfs.EachName(d.fsys, d.root, func(name string) error {
		if len(name) != d.prefix || !isHex(name) {
			return nil
		}
		wrapped := func(h blob.Hash) error { stopped = fn(h); return stopped }
		err := d.walkFolder(ctx, filepath.Join(d.root, name), name, wrapped)
		if stopped != nil || ctx.Err() != nil {
			return err
		}
		if err != nil && skipped == nil {
			skipped = err
		}
		return nil
	})
	switch {
	case err == nil:
		return skipped
	case stopped != nil:
		return stopped
	}
	return fmt.Errorf("sharded: walk %s: %w", d.root, err)
}

// walkFolder calls fn for the blobs' names in one folder that start with prefix.
func (d *Dir) walkFolder(ctx context.Context, dir, prefix string, fn func(h blob.Hash) error) error {
	return diskfs.EachName(d.fsys, dir, func(name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := blob.ParseHash(name)
		if err != nil || !strings.HasPrefix(name, prefix) {
			return nil
		}
		return fn(h)
	})
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// shards knows whether the root has entries that are not durable yet: new folders for blobs.
type shards struct {
	mu     sync.Mutex
	made   uint64 // folders made so far
	synced uint64 // of those, the first so many are durable
	failed error  // of a sync of the root: it is not tried again, because a later success would prove nothing
}

// makeFolder makes a blob's folder when it is missing. The lock is held across both the creation and the count, so that
// whoever finds the folder there also finds it counted.
func (d *Dir) makeFolder(dir string) error {
	d.shards.mu.Lock()
	defer d.shards.mu.Unlock()
	err := d.fsys.Mkdir(dir)
	switch {
	case err == nil:
		d.shards.made++
	case errors.Is(err, fs.ErrExist):
		err = nil
	}
	return err
}

// syncRoot makes the folders that exist now durable.
func (d *Dir) syncRoot() error {
	s := &d.shards
	s.mu.Lock()
	made, done, failed := s.made, s.synced == s.made, s.failed
	s.mu.Unlock()
	if failed != nil || done {
		return failed
	}
	err := d.fsys.SyncDir(d.root)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = fmt.Errorf("sharded: sync %s: %w", d.root, err)
		return s.failed
	}
	s.synced = max(s.synced, made)
	return nil
}
