//go:build linux

package diskfs

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// statBlock is the unit of st_blocks, whatever the block size of the file system.
const statBlock = 512

// Allocated is st_blocks in bytes.
func (f *osFile) Allocated() (int64, error) {
	st, err := f.stat()
	return st.Blocks * statBlock, err
}

// Preallocate uses mode 0: the blocks are reserved as unwritten extents and the length grows. KEEP_SIZE would leave the
// length to the first write beyond it, and then every append would also have to make a new length durable.
func (f *osFile) Preallocate(off, n int64) error {
	return f.do("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, off, n) })
}

// Punch never changes the length.
func (f *osFile) Punch(off, n int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	return f.do("punch", func(fd int) error { return unix.Fallocate(fd, mode, off, n) })
}

// SeekData is lseek with SEEK_DATA.
func (f *osFile) SeekData(off int64) (int64, error) { return f.seek("seek data", off, unix.SEEK_DATA) }

// SeekHole is lseek with SEEK_HOLE.
func (f *osFile) SeekHole(off int64) (int64, error) { return f.seek("seek hole", off, unix.SEEK_HOLE) }

// seek moves the descriptor's own offset, which nothing else here uses. The kernel's ENXIO says that there is nothing at
// or after off.
func (f *osFile) seek(op string, off int64, whence int) (at int64, err error) {
	err = f.do(op, func(fd int) error {
		at, err = unix.Seek(fd, off, whence)
		return err
	})
	if errors.Is(err, unix.ENXIO) {
		return 0, io.EOF
	}
	return at, err
}

// Usage is statfs.
func (osFS) Usage(path string) (Usage, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Usage{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
		}
		break
	}
	unit := st.Frsize
	return Usage{
		Total: int64(st.Blocks) * unit,
		Free:  int64(st.Bavail) * unit,
		Used:  int64(st.Blocks-st.Bfree) * unit,
	}, nil
}
