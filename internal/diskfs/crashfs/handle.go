package crashfs

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// handle is an open file.
type handle struct {
	fs     *FS
	node   *node
	name   string // when it was opened
	write  bool
	closed bool // under fs.mu
}

// check says whether the file may be used. The lock is held.
func (h *handle) check(write bool) error {
	switch {
	case h.fs.frozen:
		return ErrPowerOff
	case h.closed:
		return fs.ErrClosed
	case write && !h.write:
		return syscall.EBADF
	}
	return nil
}

// view runs a look at the file, after its hook.
func (h *handle) view(op Op, look func(c *content) error) error {
	op.Path = h.name
	if err := h.fs.beforeRead(op); err != nil {
		return err
	}
	return h.look(look)
}

func (h *handle) look(look func(c *content) error) error {
	h.fs.mu.RLock()
	defer h.fs.mu.RUnlock()
	err := h.check(false)
	if err == nil {
		err = look(h.node.file)
	}
	return err
}

// edit runs a change of the file after its hook, and settles the account of space.
func (h *handle) edit(op Op, change func(c *content) error) error {
	op.Path = h.name
	if err := h.fs.before(op); err != nil {
		return err
	}
	return h.change(op, change)
}

// change is edit without the hook.
func (h *handle) change(op Op, change func(c *content) error) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	err := h.check(op.Kind != OpSync)
	if err == nil && (op.Off < 0 || op.Len < 0) {
		err = syscall.EINVAL
	}
	if err != nil {
		return pathError(op.Kind.String(), h.name, err)
	}
	c := h.node.file
	before := c.alloc
	err = change(c)
	h.fs.used += c.alloc - before
	if op.Kind != OpSync {
		h.node.mtime = time.Now()
	}
	if err != nil {
		return pathError(op.Kind.String(), h.name, err)
	}
	return nil
}

func (h *handle) room() int64 { return max(h.fs.capacity-h.fs.used, 0) }

// ReadAt fails from the first bad block on.
func (h *handle) ReadAt(p []byte, off int64) (n int, err error) {
	if err := h.fs.beforeRead(Op{Kind: OpRead, Path: h.name, Off: off, Len: int64(len(p))}); err != nil {
		k, err := half(len(p), err)
		n, _ = h.readAt(p[:k], off)
		return n, err
	}
	return h.readAt(p, off)
}

func (h *handle) readAt(p []byte, off int64) (n int, err error) {
	err = h.look(func(c *content) error {
		if off < 0 {
			return syscall.EINVAL
		}
		good := p
		bad := false
		for _, s := range h.node.bad {
			if off < c.size && s.off < min(off+int64(len(good)), c.size) && s.end > off {
				good, bad = good[:max(s.off-off, 0)], true
			}
		}
		n, err = c.readAt(good, off)
		if bad {
			return syscall.EIO
		}
		return err
	})
	return n, h.named("read", err)
}

// ReadDirect gives what is durable, and zeros for what is not: the harshest that a device may show.
func (h *handle) ReadDirect(p []byte, off int64) (n int, err error) {
	if err := h.fs.beforeRead(Op{Kind: OpRead, Path: h.name, Off: off, Len: int64(len(p))}); err != nil {
		k, err := half(len(p), err)
		n, _ = h.readDirect(p[:k&^(diskfs.DirectAlign-1)], off)
		return n, err
	}
	return h.readDirect(p, off)
}

func (h *handle) readDirect(p []byte, off int64) (n int, err error) {
	err = h.look(func(c *content) error {
		if off < 0 || off%diskfs.DirectAlign != 0 || len(p)%diskfs.DirectAlign != 0 {
			return syscall.EINVAL
		}
		for _, s := range h.node.bad {
			if s.off < off+int64(len(p)) && s.end > off {
				return syscall.EIO
			}
		}
		n, err = c.readDurable(p, off)
		return err
	})
	return n, h.named("read direct", err)
}

// named adds the name to errors other than io.EOF, which callers compare.
func (h *handle) named(op string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) || errors.Is(err, ErrPowerOff) || errors.Is(err, fs.ErrClosed) {
		return pathError(op, h.name, err)
	}
	return err
}

// WriteAt writes what there is room for.
func (h *handle) WriteAt(p []byte, off int64) (n int, err error) {
	op := Op{Kind: OpWrite, Path: h.name, Off: off, Len: int64(len(p))}
	refused := h.fs.before(op)
	if refused != nil {
		var k int
		if k, refused = half(len(p), refused); k == 0 {
			return 0, refused
		}
		p, op.Len = p[:k], int64(k)
	}
	err = h.change(op, func(c *content) error {
		n, err = c.writeAt(p, off, h.room())
		return err
	})
	if refused != nil {
		err = refused
	}
	return n, err
}

// Sync makes the file durable, or, when the hook fails it, forgets that it was not.
func (h *handle) Sync() error {
	err := h.edit(Op{Kind: OpSync}, func(c *content) error {
		c.sync()
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrClosed) {
		h.fs.mu.Lock()
		defer h.fs.mu.Unlock()
		h.node.file.failSync()
	}
	return err
}

// Truncate changes the length.
func (h *handle) Truncate(size int64) error {
	return h.edit(Op{Kind: OpTruncate, Len: size}, func(c *content) error {
		c.truncate(size)
		return nil
	})
}

// Preallocate reserves all of the range or none of it.
func (h *handle) Preallocate(off, n int64) error {
	return h.edit(Op{Kind: OpPreallocate, Off: off, Len: n}, func(c *content) error {
		if n == 0 {
			return syscall.EINVAL
		}
		if c.missing(off, n) > h.room() {
			return syscall.ENOSPC
		}
		c.preallocate(off, n)
		return nil
	})
}

// Punch gives blocks back.
func (h *handle) Punch(off, n int64) error {
	return h.edit(Op{Kind: OpPunch, Off: off, Len: n}, func(c *content) error {
		if n == 0 {
			return syscall.EINVAL
		}
		c.punch(off, n)
		return nil
	})
}

// Size is the length that callers see.
func (h *handle) Size() (n int64, err error) {
	err = h.view(Op{Kind: OpStat}, func(c *content) error { n = c.size; return nil })
	return n, h.named("size", err)
}

// Allocated counts reserved blocks, whether or not they hold anything.
func (h *handle) Allocated() (n int64, err error) {
	err = h.view(Op{Kind: OpStat}, func(c *content) error { n = c.alloc * BlockSize; return nil })
	return n, h.named("allocated", err)
}

// SeekData skips blocks that hold nothing.
func (h *handle) SeekData(off int64) (at int64, err error) {
	err = h.view(Op{Kind: OpSeek, Off: off}, func(c *content) error { at, err = c.seekData(off); return err })
	return at, h.named("seek data", err)
}

// SeekHole finds a block that holds nothing, or the end.
func (h *handle) SeekHole(off int64) (at int64, err error) {
	err = h.view(Op{Kind: OpSeek, Off: off}, func(c *content) error { at, err = c.seekHole(off); return err })
	return at, h.named("seek hole", err)
}

// Map is refused: the file is not the kernel's.
func (h *handle) Map(int64) (diskfs.Mapping, error) {
	if err := h.fs.beforeRead(Op{Kind: OpMap, Path: h.name}); err != nil {
		return nil, err
	}
	return nil, pathError("map", h.name, errors.ErrUnsupported)
}

// Cached is refused: there is no page cache.
func (h *handle) Cached(int64, int64) (bool, error) {
	if err := h.fs.beforeRead(Op{Kind: OpCached, Path: h.name}); err != nil {
		return false, err
	}
	return false, pathError("cached", h.name, errors.ErrUnsupported)
}

// Close frees the blocks of a file without a name.
func (h *handle) Close() error {
	refused := h.fs.beforeRead(Op{Kind: OpClose, Path: h.name})
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check(false); err != nil {
		return pathError("close", h.name, err)
	}
	h.closed = true
	h.node.opens--
	h.fs.release(h.node)
	return refused
}
