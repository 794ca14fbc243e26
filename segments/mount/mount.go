package mount

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Mount is a folder of a segment store that this process owns. All methods are safe for concurrent use.
type Mount struct {
	fsys diskfs.FS
	dir  string
	lock io.Closer

	mu    sync.Mutex // held while a superblock is written, or something is moved into quarantine
	super Superblock
}

// Open takes the lock of the mount at dir and reads its superblock. An empty folder becomes a mount with the superblock
// fresh (Version, ID and Created are filled in where zero); a missing one is made, if its parent exists.
//
// Errors, each with what to do about it: a wrapped *diskfs.LockedError when another process owns the mount,
// ErrNewerVersion, ErrDamaged, ErrNotAMount, and the system's (syscall.EROFS, syscall.ENOSPC, fs.ErrPermission, …). What
// is there is unharmed by all of them.
func Open(fsys diskfs.FS, dir string, fresh Superblock) (*Mount, error) {
	if err := EnsureFolder(fsys, dir); err != nil {
		return nil, err
	}
	layout, err := Detect(fsys, dir)
	if err != nil {
		return nil, err
	}
	if layout.Kind != LayoutEmpty && layout.Kind != LayoutSegments {
		return nil, fmt.Errorf("mount: %s holds %s: %w: choose an empty folder", dir, layout, ErrNotAMount)
	}
	lock, err := TakeLock(fsys, dir, lockName)
	if err != nil {
		return nil, err
	}
	m := &Mount{fsys: fsys, dir: dir, lock: lock}
	if err := m.load(fresh); err != nil {
		return nil, errors.Join(err, m.lock.Close())
	}
	return m, nil
}

// EnsureFolder makes the last element of the path when it is missing, as the package comment says.
func EnsureFolder(fsys diskfs.FS, dir string) error {
	exists, err := folderExists(fsys, dir)
	if err != nil || exists {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	exists, err = folderExists(fsys, parent)
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("mount: %s does not exist and neither does %s: %w: mount the disk, or make the folder",
			dir, parent, ErrNotAMount)
	}
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mount: make %s: %w%s", dir, err, Hint(err))
	}
	if err := fsys.SyncDir(parent); err != nil {
		return fmt.Errorf("mount: make %s: %w", dir, err)
	}
	return nil
}

// TakeLock makes this process the owner of dir, by the lock file of that name within it, until the lock is closed.
func TakeLock(fsys diskfs.FS, dir, name string) (io.Closer, error) {
	lock, err := fsys.Lock(filepath.Join(dir, name), fmt.Sprintf("pid %d", os.Getpid()))
	var held *diskfs.LockedError
	switch {
	case errors.As(err, &held):
		return nil, fmt.Errorf("mount: %s is in use by %s; stop that process, or choose another folder: %w",
			dir, held.Owner, err)
	case err != nil:
		return nil, fmt.Errorf("mount: lock %s: %w%s", dir, err, Hint(err))
	}
	return lock, nil
}

// load reads the superblock, or makes the mount when there is none.
func (m *Mount) load(fresh Superblock) error {
	super, err := readSuperblock(m.fsys, filepath.Join(m.dir, superblockName))
	switch {
	case err == nil:
		m.super = super
		return m.ensureFolders()
	case !errors.Is(err, fs.ErrNotExist):
		return m.explain(err)
	}
	if err := m.mustBeFresh(); err != nil {
		return err
	}
	if err := m.ensureFolders(); err != nil {
		return err
	}
	if err := fill(&fresh); err != nil {
		return err
	}
	if err := m.write(fresh); err != nil {
		return err
	}
	m.super = fresh
	return nil
}

// fill completes the superblock of a new mount.
func fill(s *Superblock) error {
	s.Version = Version
	if s.Created == 0 {
		s.Created = uint32(time.Now().Unix())
	}
	if s.ID == ([16]byte{}) {
		if _, err := rand.Read(s.ID[:]); err != nil {
			return fmt.Errorf("mount: make an id: %w", err)
		}
	}
	return nil
}

// mustBeFresh refuses a folder that has lost its superblock: only one whose folders are empty was never a store.
func (m *Mount) mustBeFresh() error {
	for _, name := range []string{segmentsName, indexName, quarantineName} {
		names, err := m.fsys.List(filepath.Join(m.dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("mount: look at %s: %w", m.dir, err)
		case len(names) > 0:
			return m.explain(fmt.Errorf("%w: it is missing, but %s/ has files", ErrDamaged, name))
		}
	}
	return nil
}

// ensureFolders makes those that are missing, durably.
func (m *Mount) ensureFolders() error {
	made := false
	for _, dir := range []string{m.SegmentsDir(), m.IndexDir(), m.QuarantineDir()} {
		exists, err := folderExists(m.fsys, dir)
		if err != nil {
			return err
		}
		if exists {
			continue
		}
		if err := m.fsys.Mkdir(dir); err != nil {
			return fmt.Errorf("mount: make %s: %w%s", dir, err, Hint(err))
		}
		made = true
	}
	if !made {
		return nil
	}
	if err := m.fsys.SyncDir(m.dir); err != nil {
		return fmt.Errorf("mount: sync %s: %w", m.dir, err)
	}
	return nil
}

// Look gives the mount at dir for reading alone: another process may own it, no lock is taken, and nothing is made. It
// is not closed, and must not be changed. Errors as ReadSuperblock.
func Look(fsys diskfs.FS, dir string) (*Mount, error) {
	s, err := ReadSuperblock(fsys, dir)
	if err != nil {
		return nil, err
	}
	return &Mount{fsys: fsys, dir: dir, super: s}, nil
}

// ReadSuperblock reads the superblock of the mount at dir, which another process may own, and takes no lock. Errors as
// Open has, but for the lock.
func ReadSuperblock(fsys diskfs.FS, dir string) (Superblock, error) {
	m := &Mount{fsys: fsys, dir: dir}
	s, err := readSuperblock(fsys, filepath.Join(dir, superblockName))
	if err != nil {
		return Superblock{}, m.explain(err)
	}
	return s, nil
}

// readSuperblock reads and checks the file; one that does not exist is fs.ErrNotExist.
func readSuperblock(fsys diskfs.FS, path string) (Superblock, error) {
	f, err := fsys.Open(path, false)
	if err != nil {
		return Superblock{}, err
	}
	defer f.Close()
	b := make([]byte, maxSuperblock+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return Superblock{}, err
	}
	return decodeSuperblock(b[:n])
}

// Superblock is a copy of the current one.
func (m *Mount) Superblock() Superblock {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.super
}

// Update changes the superblock and returns once the change is durable. The function gets a copy and runs under the
// mount's lock, so it must not call the mount. After an error Superblock answers the old one, and either may be on disk.
func (m *Mount) Update(change func(*Superblock)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.super
	change(&next)
	if err := m.write(next); err != nil {
		return err
	}
	m.super = next
	return nil
}

// write replaces the superblock file. At every moment the name holds a whole one: the new bytes are durable before the
// rename, and the rename before the return.
func (m *Mount) write(s Superblock) error {
	temp, final := filepath.Join(m.dir, superblockTemp), filepath.Join(m.dir, superblockName)
	if err := m.fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mount: write superblock of %s: %w%s", m.dir, err, Hint(err))
	}
	err := m.writeTemp(temp, s.encode())
	if err == nil {
		err = m.fsys.Rename(temp, final)
	}
	if err == nil {
		err = m.fsys.SyncDir(m.dir)
	}
	if err != nil {
		return fmt.Errorf("mount: write superblock of %s: %w%s", m.dir, err, Hint(err))
	}
	return nil
}

func (m *Mount) writeTemp(path string, b []byte) error {
	f, err := m.fsys.Create(path)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Close gives the lock back. The mount must not be used after it.
func (m *Mount) Close() error {
	if err := m.lock.Close(); err != nil {
		return fmt.Errorf("mount: unlock %s: %w", m.dir, err)
	}
	return nil
}

// explain adds where, and what to do, to an error about the superblock.
func (m *Mount) explain(err error) error {
	path := filepath.Join(m.dir, superblockName)
	switch {
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("mount: %s: %w; the segments are untouched: `prism fsck repair` makes a new superblock from "+
			"them, and an empty folder starts a new store", path, err)
	case errors.Is(err, ErrNewerVersion):
		return fmt.Errorf("mount: %s: %w; nothing was changed: run that version, or choose another folder", path, err)
	}
	return fmt.Errorf("mount: %s: %w%s", path, err, Hint(err))
}

// Hint says what to do about the errors of a file system that an operator can mend, to stand behind the error's text; it
// is empty for others.
func Hint(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return " (mount it writable)"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return " (free some space first)"
	case errors.Is(err, fs.ErrPermission):
		return " (the folder must belong to the user that runs prism)"
	}
	return ""
}
