//go:build linux

package diskfs

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// direct is a second descriptor of a file: O_DIRECT belongs to the descriptor, and the first one is used for writes and
// reads that want the page cache. It is opened when it is first needed.
type direct struct {
	mu     sync.Mutex
	f      *os.File
	failed bool // it could not be opened, and will not be
	closed bool
}

// open gives the descriptor. It is opened through the first one, so that it is the same file whatever became of the
// name.
func (d *direct) open(first *osFile) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, os.ErrClosed
	case d.failed:
		return nil, errors.ErrUnsupported
	case d.f != nil:
		return d.f, nil
	}
	err := first.do("open", func(fd int) (err error) {
		name := fmt.Sprintf("/proc/self/fd/%d", fd)
		d.f, err = os.OpenFile(name, os.O_RDONLY|unix.O_DIRECT|unix.O_NOATIME, 0)
		if errors.Is(err, unix.EPERM) { // not our file
			d.f, err = os.OpenFile(name, os.O_RDONLY|unix.O_DIRECT, 0)
		}
		return err
	})
	if err != nil {
		d.failed = !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE)
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return d.f, nil
}

func (d *direct) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.f == nil {
		return nil
	}
	return d.f.Close()
}

// ReadDirect needs /proc. EINVAL is what file systems say that have no direct reads, or that ask for another alignment.
func (f *osFile) ReadDirect(p []byte, off int64) (int, error) {
	if len(p) == 0 || len(p)%DirectAlign != 0 || off < 0 || off%DirectAlign != 0 || address(p)%DirectAlign != 0 {
		return 0, fmt.Errorf("diskfs: read %d bytes at %d around the page cache: not aligned: %w", len(p), off, errors.ErrUnsupported)
	}
	d, err := f.direct.open(f)
	if err != nil {
		return 0, err
	}
	n, err := d.ReadAt(p, off)
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return n, err
}
