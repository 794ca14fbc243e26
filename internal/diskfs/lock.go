//go:build linux

package diskfs

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxOwner bounds what is read from a lock file, which anybody may have written.
const maxOwner = 1024

// Lock uses flock, which belongs to the open file: unlike a POSIX lock it also keeps a second holder in the same process
// out, and does not end when some other descriptor of the file is closed. The file stays behind; removing it would let
// two holders lock two files of one name.
func (osFS) Lock(name, text string) (io.Closer, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	f, err := newOSFile(file)
	if err != nil {
		return nil, err
	}
	err = f.do("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = &LockedError{Path: name, Owner: readOwner(f)}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	writeOwner(f, text)
	return f, nil
}

// readOwner is what the holder wrote. It may be caught before it wrote anything.
func readOwner(f File) string {
	buf := make([]byte, maxOwner)
	n, err := f.ReadAt(buf, 0)
	owner := strings.TrimSpace(string(buf[:n]))
	if (err != nil && err != io.EOF) || owner == "" {
		return "another process"
	}
	return owner
}

// writeOwner drops errors: the text is information only, and a full disk must not keep a mount from opening. It writes
// before it truncates, so that a reader rarely finds nothing.
func writeOwner(f File, text string) {
	if _, err := f.WriteAt([]byte(text), 0); err == nil {
		_ = f.Truncate(int64(len(text)))
	}
}
