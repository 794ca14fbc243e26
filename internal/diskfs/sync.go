//go:build linux

package diskfs

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sync is fdatasync: the bytes and the length and extents that reading them needs, not the times.
func (f *osFile) Sync() error { return f.do("fdatasync", unix.Fdatasync) }

// SyncDir is fsync of the folder.
func (osFS) SyncDir(dir string) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
