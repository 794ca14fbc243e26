package pebblefs

import (
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// file adds the two cursors that Pebble reads and writes with. Nothing in Pebble both reads and writes through them, so
// that it does not matter that they are two.
type file struct {
	diskfs.File
	name  string
	read  int64 // where the next Read begins
	write int64 // where the next Write begins
}

func newFile(f diskfs.File, name string) *file { return &file{File: f, name: name} }

// Read goes on where the last Read ended.
func (f *file) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p, f.read)
	f.read += int64(n)
	if n > 0 && err == io.EOF {
		err = nil // the next Read says so
	}
	return n, err
}

// Write goes on where the last Write ended.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.write)
	f.write += int64(n)
	return n, err
}

// Preallocate does nothing: Pebble means room beyond the end (KEEP_SIZE), and diskfs moves the end, after which tables
// and logs would seem to end in zeros.
func (f *file) Preallocate(int64, int64) error { return nil }

// SyncTo asks for write-back to begin early, which promises nothing; the Sync that follows it does all the work.
func (f *file) SyncTo(int64) (bool, error) { return false, nil }

// SyncData is Sync, which leaves out no data.
func (f *file) SyncData() error { return f.Sync() }

// Prefetch does nothing.
func (f *file) Prefetch(int64, int64) error { return nil }

// Fd keeps Pebble from going around diskfs.
func (f *file) Fd() uintptr { return vfs.InvalidFd }

// Stat knows the length of an open file, which may have no name any more.
func (f *file) Stat() (vfs.FileInfo, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return fileInfo{openInfo{name: filepath.Base(f.name), size: size}}, nil
}

// folder is an open folder: Sync is all that Pebble does with one.
type folder struct {
	base diskfs.FS
	name string
	info fs.FileInfo // of when it was opened
}

// Sync makes the names in the folder durable.
func (d *folder) Sync() error { return d.base.SyncDir(d.name) }

// SyncData is Sync.
func (d *folder) SyncData() error { return d.Sync() }

// SyncTo does nothing.
func (d *folder) SyncTo(int64) (bool, error) { return false, nil }

// Close has nothing to close.
func (d *folder) Close() error { return nil }

// Stat is as of when the folder was opened.
func (d *folder) Stat() (vfs.FileInfo, error) { return fileInfo{d.info}, nil }

// Preallocate does nothing.
func (d *folder) Preallocate(int64, int64) error { return nil }

// Prefetch does nothing.
func (d *folder) Prefetch(int64, int64) error { return nil }

// Fd is none.
func (d *folder) Fd() uintptr { return vfs.InvalidFd }

// Read is refused.
func (d *folder) Read([]byte) (int, error) { return 0, d.isDir("read") }

// ReadAt is refused.
func (d *folder) ReadAt([]byte, int64) (int, error) { return 0, d.isDir("read") }

// Write is refused.
func (d *folder) Write([]byte) (int, error) { return 0, d.isDir("write") }

// WriteAt is refused.
func (d *folder) WriteAt([]byte, int64) (int, error) { return 0, d.isDir("write") }

func (d *folder) isDir(op string) error {
	return &fs.PathError{Op: op, Path: d.name, Err: syscall.EISDIR}
}

// fileInfo adds the device, which no code of Pebble's store asks for and diskfs does not know.
type fileInfo struct {
	fs.FileInfo
}

// DeviceID is the zero device.
func (fileInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

// openInfo describes an open file by what diskfs tells of one: its length. It has no time.
type openInfo struct {
	name string
	size int64
}

// Name is that by which the file was opened.
func (i openInfo) Name() string { return i.name }

// Size is the length.
func (i openInfo) Size() int64 { return i.size }

// Mode is that of any file.
func (i openInfo) Mode() fs.FileMode { return 0o644 }

// ModTime is not known.
func (i openInfo) ModTime() time.Time { return time.Time{} }

// IsDir is false.
func (i openInfo) IsDir() bool { return false }

// Sys is nil.
func (i openInfo) Sys() any { return nil }

var (
	_ vfs.FS   = (*pebbleFS)(nil)
	_ vfs.File = (*file)(nil)
	_ vfs.File = (*folder)(nil)
)
