//go:build linux

package diskfs

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

type osMapping struct {
	name string
	data []byte
}

// Map gives the kernel no advice. MADV_RANDOM looks right for a file of many blobs and is not: the kernel then does not
// count reads through the mapping as use, so that hot blobs fall out of the page cache, and a page that left it between
// Cached and the write would be fetched 4 KiB at a time, where a blob is read from its beginning to its end.
func (f *osFile) Map(n int64) (Mapping, error) {
	m := &osMapping{name: f.f.Name()}
	err := f.do("mmap", func(fd int) (err error) {
		if int64(int(n)) != n {
			return unix.EOVERFLOW
		}
		m.data, err = unix.Mmap(fd, 0, int(n), unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Bytes caps the slice, so that nobody reaches beyond the range by appending or reslicing.
func (m *osMapping) Bytes(off, n int64) []byte { return m.data[off : off+n : off+n] }

// Unmap is munmap.
func (m *osMapping) Unmap() error {
	if err := unix.Munmap(m.data); err != nil {
		return &fs.PathError{Op: "munmap", Path: m.name, Err: err}
	}
	return nil
}
