package guardfs

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Create guards vfs.FS.Create.
func (g *FS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	g.enter(writing)
	f, err := g.inner.Create(name, c)
	if err := g.leave(writing, "create", name, err); err != nil {
		return nil, err
	}
	return g.track(f, name, g.newSize(name)), nil
}

// Link guards vfs.FS.Link.
func (g *FS) Link(oldname, newname string) error {
	g.enter(writing)
	err := g.leave(writing, "link", newname, g.inner.Link(oldname, newname))
	if err == nil {
		g.linkSize(oldname, newname)
	}
	return err
}

// Open opens a file for reading.
func (g *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	g.enter(reading)
	f, err := g.inner.Open(name, opts...)
	if err := g.leave(reading, "open", name, err); err != nil {
		return nil, err
	}
	return g.track(f, name, nil), nil
}

// OpenReadWrite guards vfs.FS.OpenReadWrite.
func (g *FS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	g.enter(writing)
	f, err := g.inner.OpenReadWrite(name, c, opts...)
	if err := g.leave(writing, "open", name, err); err != nil {
		return nil, err
	}
	return g.track(f, name, g.oldSize(name)), nil
}

// OpenDir opens a folder, to be synced.
func (g *FS) OpenDir(name string) (vfs.File, error) {
	g.enter(reading)
	f, err := g.inner.OpenDir(name)
	if err := g.leave(reading, "open folder", name, err); err != nil {
		return nil, err
	}
	return g.track(f, name, nil), nil
}

// Remove unlinks; an error costs space only and is the caller's.
func (g *FS) Remove(name string) error {
	g.enter(removing)
	err := g.leave(removing, "remove", name, g.inner.Remove(name))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		g.dropSize(name)
	}
	return err
}

// RemoveAll unlinks a folder with all that it holds. Pebble does not use it on files that count.
func (g *FS) RemoveAll(name string) error {
	g.enter(removing)
	return g.leave(removing, "remove all", name, g.inner.RemoveAll(name))
}

// Rename guards vfs.FS.Rename.
func (g *FS) Rename(oldname, newname string) error {
	g.enter(writing)
	err := g.leave(writing, "rename", newname, g.inner.Rename(oldname, newname))
	if err == nil {
		g.moveSize(oldname, newname)
	}
	return err
}

// ReuseForWrite guards vfs.FS.ReuseForWrite.
func (g *FS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	g.enter(writing)
	f, err := g.inner.ReuseForWrite(oldname, newname, c)
	if err := g.leave(writing, "reuse", newname, err); err != nil {
		return nil, err
	}
	g.moveSize(oldname, newname)
	return g.track(f, newname, g.oldSize(newname)), nil
}

// MkdirAll guards vfs.FS.MkdirAll.
func (g *FS) MkdirAll(dir string, perm os.FileMode) error {
	g.enter(writing)
	return g.leave(writing, "mkdir", dir, g.inner.MkdirAll(dir, perm))
}

// Lock takes a lock. That someone else has it is no failure of the disk, so that any error is the caller's.
func (g *FS) Lock(name string) (io.Closer, error) {
	g.enter(removing)
	c, err := g.inner.Lock(name)
	if err := g.leave(removing, "lock", name, err); err != nil {
		return nil, err
	}
	l := &lock{g: g, inner: c}
	g.mu.Lock()
	g.locks[l] = struct{}{}
	g.mu.Unlock()
	return l, nil
}

// lock is a lock that Sever can give back.
type lock struct {
	g     *FS
	inner io.Closer
}

func (l *lock) Close() error {
	l.g.mu.Lock()
	_, held := l.g.locks[l]
	delete(l.g.locks, l)
	l.g.mu.Unlock()
	if !held {
		return nil // Sever closed it
	}
	return l.inner.Close()
}

// List lists a folder.
func (g *FS) List(dir string) ([]string, error) {
	g.enter(reading)
	names, err := g.inner.List(dir)
	return names, g.leave(reading, "list", dir, err)
}

// Stat describes a file.
func (g *FS) Stat(name string) (vfs.FileInfo, error) {
	g.enter(reading)
	info, err := g.inner.Stat(name)
	return info, g.leave(reading, "stat", name, err)
}

// GetDiskUsage asks for the free space. Pebble paces by it and can do without, but takes an error for one of its own
// work, so that vfs.ErrUnsupported is the only one it sees.
func (g *FS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	g.enter(reading)
	u, err := g.inner.GetDiskUsage(path)
	if err := g.leave(reading, "usage", path, err); err != nil {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	return u, nil
}

// PathBase is the last part of a path.
func (g *FS) PathBase(path string) string { return g.inner.PathBase(path) }

// PathJoin joins parts of a path.
func (g *FS) PathJoin(elem ...string) string { return g.inner.PathJoin(elem...) }

// PathDir is a path without its last part.
func (g *FS) PathDir(path string) string { return g.inner.PathDir(path) }

// Unwrap is the inner file system.
func (g *FS) Unwrap() vfs.FS { return g.inner }

var _ vfs.FS = (*FS)(nil)
