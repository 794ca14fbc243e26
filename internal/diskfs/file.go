//go:build linux

package diskfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// osFile wraps an os.File, which counts the calls that use its descriptor: a Close beside a running read cannot make
// that read land in another file that got the same number. os.File's positional calls loop over short counts and EINTR;
// calls on the raw descriptor go through do.
type osFile struct {
	f      *os.File
	raw    syscall.RawConn
	direct direct
}

func newOSFile(f *os.File) (*osFile, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &osFile{f: f, raw: raw}, nil
}

// do runs a system call on the descriptor, again while a signal interrupts it. Errors are an *fs.PathError with op.
func (f *osFile) do(op string, call func(fd int) error) error {
	var callErr error
	err := f.raw.Control(func(fd uintptr) {
		for {
			callErr = call(int(fd))
			if !errors.Is(callErr, unix.EINTR) {
				return
			}
		}
	})
	if err != nil {
		callErr = fs.ErrClosed // the only reason for which Control does not call
	}
	if callErr != nil {
		return &fs.PathError{Op: op, Path: f.f.Name(), Err: callErr}
	}
	return nil
}

// ReadAt loops until p is full, as io.ReaderAt says.
func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	now := f.readNow(p, off)
	if now > 0 && now == len(p) {
		return now, nil
	}
	n, err := f.f.ReadAt(p[now:], off+int64(now))
	return now + n, err
}

// WriteAt loops until all of p is written.
func (f *osFile) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }

// Close waits for no call: one that is running keeps the descriptor until it returns.
func (f *osFile) Close() error { return errors.Join(f.direct.close(), f.f.Close()) }

// Truncate is ftruncate.
func (f *osFile) Truncate(size int64) error { return f.f.Truncate(size) }

// Size is st_size.
func (f *osFile) Size() (int64, error) {
	st, err := f.stat()
	return st.Size, err
}

func (f *osFile) stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := f.do("fstat", func(fd int) error { return unix.Fstat(fd, &st) })
	return st, err
}
