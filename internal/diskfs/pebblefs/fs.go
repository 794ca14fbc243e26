package pebblefs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// New gives base the shape that Pebble wants. It is as safe for concurrent use as base; its files are used by one
// writer at a time, as vfs says.
func New(base diskfs.FS) vfs.FS { return &pebbleFS{base: base} }

type pebbleFS struct {
	base diskfs.FS
}

// Create removes what has the name first: Pebble relies on a new file, because the old one may still be read.
func (p *pebbleFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	for {
		f, err := p.base.Create(name)
		if err == nil {
			return newFile(f, name), nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if err := p.base.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// Link is refused. Pebble links only for checkpoints and ingested tables, and copies when it cannot.
func (p *pebbleFS) Link(oldname, newname string) error {
	return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: errors.ErrUnsupported}
}

// Open opens a file for reading.
func (p *pebbleFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return p.open(name, false, opts)
}

func (p *pebbleFS) open(name string, write bool, opts []vfs.OpenOption) (vfs.File, error) {
	f, err := p.base.Open(name, write)
	if err != nil {
		return nil, err
	}
	file := newFile(f, name)
	for _, opt := range opts {
		opt.Apply(file)
	}
	return file, nil
}

// OpenReadWrite keeps what the file holds.
func (p *pebbleFS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := p.base.Create(name)
	if errors.Is(err, fs.ErrExist) {
		return p.open(name, true, opts)
	}
	if err != nil {
		return nil, err
	}
	file := newFile(f, name)
	for _, opt := range opts {
		opt.Apply(file)
	}
	return file, nil
}

// OpenDir opens nothing: a folder is synced by its name.
func (p *pebbleFS) OpenDir(name string) (vfs.File, error) {
	info, err := p.base.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "opendir", Path: name, Err: syscall.ENOTDIR}
	}
	return &folder{base: p.base, name: name, info: info}, nil
}

// Remove takes a name away.
func (p *pebbleFS) Remove(name string) error { return p.base.Remove(name) }

// RemoveAll is diskfs.RemoveAll.
func (p *pebbleFS) RemoveAll(name string) error { return diskfs.RemoveAll(p.base, name) }

// Rename replaces newname atomically.
func (p *pebbleFS) Rename(oldname, newname string) error { return p.base.Rename(oldname, newname) }

// ReuseForWrite keeps the old bytes: Pebble recycles its log files, and tells old records from new by their numbers.
func (p *pebbleFS) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := p.base.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return p.open(newname, true, nil)
}

// MkdirAll makes missing parents too, with the permissions of diskfs. Syncing their folders is the caller's.
func (p *pebbleFS) MkdirAll(dir string, perm os.FileMode) error {
	info, err := p.base.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := p.MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := p.base.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Lock writes no owner into the file: whoever owns the mount has said so above.
func (p *pebbleFS) Lock(name string) (io.Closer, error) { return p.base.Lock(name, "") }

// List gives the names sorted.
func (p *pebbleFS) List(dir string) ([]string, error) { return p.base.List(dir) }

// Stat does not follow a final symbolic link.
func (p *pebbleFS) Stat(name string) (vfs.FileInfo, error) {
	info, err := p.base.Stat(name)
	if err != nil {
		return nil, err
	}
	return fileInfo{info}, nil
}

// GetDiskUsage is Usage.
func (p *pebbleFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	u, err := p.base.Usage(path)
	if err != nil {
		return vfs.DiskUsage{}, err
	}
	return vfs.DiskUsage{AvailBytes: uint64(u.Free), TotalBytes: uint64(u.Total), UsedBytes: uint64(u.Used)}, nil
}

// PathBase is filepath.Base.
func (p *pebbleFS) PathBase(path string) string { return filepath.Base(path) }

// PathJoin is filepath.Join.
func (p *pebbleFS) PathJoin(elem ...string) string { return filepath.Join(elem...) }

// PathDir is filepath.Dir.
func (p *pebbleFS) PathDir(path string) string { return filepath.Dir(path) }

// Unwrap is nil: there is no other vfs.FS below.
func (p *pebbleFS) Unwrap() vfs.FS { return nil }
