//go:build linux

package diskfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// OS is the file system of the machine. It needs Linux; what a particular file system cannot do (overlayfs may not
// punch) comes back as an error that is errors.ErrUnsupported. A FIFO or a device under a name that is opened does not
// block: its reads and writes fail.
func OS() FS { return osFS{} }

type osFS struct{}

// The permissions of what is made, before the umask.
const (
	fileMode = 0o644
	dirMode  = 0o755
)

// Create is O_CREAT|O_EXCL.
func (osFS) Create(name string) (File, error) {
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOATIME)
}

// Open also opens folders and special files; what is done with them then fails.
func (osFS) Open(name string, write bool) (File, error) {
	if write {
		return openFile(name, os.O_RDWR|syscall.O_NOATIME)
	}
	return openFile(name, os.O_RDONLY)
}

// openFile adds O_NONBLOCK, which regular files ignore: without it, opening a FIFO that somebody left in a cache folder
// waits for ever. Package os adds O_CLOEXEC.
//
// What is opened for writing gets O_NOATIME, so that reading it writes nothing; the kernel refuses that to others than
// the file's owner, who then go without. What is opened for reading keeps its time of access: package sharded orders
// files by it.
func openFile(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags|syscall.O_NONBLOCK, fileMode)
	if errors.Is(err, syscall.EPERM) && flags&syscall.O_NOATIME != 0 {
		f, err = os.OpenFile(name, flags&^syscall.O_NOATIME|syscall.O_NONBLOCK, fileMode)
	}
	if err != nil {
		return nil, err
	}
	return newOSFile(f)
}

// Remove is unlink, or rmdir.
func (osFS) Remove(name string) error { return os.Remove(name) }

// Rename refuses a folder as the new name.
func (osFS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Mkdir leaves the permissions to the umask.
func (osFS) Mkdir(name string) error { return os.Mkdir(name, dirMode) }

// List reads the whole folder; see EachName for one that may be large.
func (osFS) List(dir string) ([]string, error) {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// Stat is lstat.
func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Lstat(name) }
