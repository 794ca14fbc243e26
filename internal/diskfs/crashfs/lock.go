package crashfs

import (
	"errors"
	"io"
	"io/fs"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Lock takes a lock, as diskfs.FS says. Every call is another process; a clone has no locks.
func (f *FS) Lock(name, text string) (io.Closer, error) {
	h, err := f.create(name)
	if errors.Is(err, fs.ErrExist) {
		h, err = f.openLock(name)
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := h.node.file
	if f.locks[h.node] {
		owner := make([]byte, c.size)
		_, _ = c.readAt(owner, 0)
		h.node.opens--
		return nil, &diskfs.LockedError{Path: name, Owner: string(owner)}
	}
	f.locks[h.node] = true
	before := c.alloc
	c.truncate(0)
	_, _ = c.writeAt([]byte(text), 0, h.room()) // for people only: a full disk can be locked
	f.used += c.alloc - before
	return &lock{h}, nil
}

func (f *FS) openLock(name string) (*handle, error) {
	file, err := f.Open(name, true)
	if err != nil {
		return nil, err
	}
	return file.(*handle), nil
}

type lock struct {
	*handle
}

// Close gives the lock back, also after the power went.
func (l *lock) Close() error {
	l.fs.mu.Lock()
	delete(l.fs.locks, l.node)
	l.fs.mu.Unlock()
	return l.handle.Close()
}
