//go:build linux

package diskfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Cached asks cachestat(2), which Linux has since 6.5. A kernel without it answers ENOSYS; a container's system call
// filter that does not know it, or a file that is neither ours nor open for writing, EPERM: in both the kernel cannot
// tell. Pages beyond the end of the file are not cached.
func (f *osFile) Cached(off, n int64) (bool, error) {
	if off < 0 || n < 0 {
		return false, &fs.PathError{Op: "cachestat", Path: f.f.Name(), Err: unix.EINVAL}
	}
	if n == 0 {
		return true, nil // to cachestat a length of 0 means the rest of the file
	}
	in := unix.CachestatRange{Off: uint64(off), Len: uint64(n)}
	var out unix.Cachestat_t
	err := f.do("cachestat", func(fd int) error { return unix.Cachestat(uint(fd), &in, &out, 0) })
	if errors.Is(err, unix.EPERM) {
		return false, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return false, err
	}
	page := int64(os.Getpagesize())
	pages := (off+n-1)/page - off/page + 1
	return out.Cache == uint64(pages), nil
}
