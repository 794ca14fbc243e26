//go:build linux

package diskfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DirectAlign is what offsets, lengths and memory of direct reads are aligned to, in bytes. No disk asks for more.
const DirectAlign = 4096

// Aligned makes a buffer of n bytes that a direct read can fill.
func Aligned(n int) []byte {
	b := make([]byte, n+DirectAlign)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (DirectAlign - 1))
	return b[off : off+n : off+n]
}

// ReadDirect opens the file once more, through its descriptor, so that one without a name can be read too. A file system
// that knows no direct reads refuses with EINVAL, at the opening or at the read.
func (f *osFile) ReadDirect(p []byte, off int64) (n int, err error) {
	if off < 0 || off%DirectAlign != 0 || len(p)%DirectAlign != 0 {
		return 0, &fs.PathError{Op: "read direct", Path: f.f.Name(), Err: unix.EINVAL}
	}
	err = f.do("read direct", func(fd int) (err error) {
		n, err = readDirect(fd, p, off)
		return err
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) { // or there is no /proc
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func readDirect(fd int, p []byte, off int64) (done int, err error) {
	direct, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(direct)
	for done < len(p) {
		n, err := unix.Pread(direct, p[done:], off+int64(done))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
		if n == 0 || n%DirectAlign != 0 { // the end; a read from there would not be aligned
			break
		}
	}
	return done, nil
}
