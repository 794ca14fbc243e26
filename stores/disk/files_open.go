package disk

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// openFile is a proven file that readers share.
type openFile struct {
	hash blob.Hash
	file diskfs.File
	size int64

	mapping func() diskfs.Mapping // mapAll, once
	mapped  diskfs.Mapping        // what mapAll made, or nil; read after the last reference only

	// Guarded by openTable.mu.
	refs   int
	listed bool  // it is what the table has for the hash
	charge int64 // bytes that are given back with the last reference: the file was removed
}

// openTable has the files that are being read. A generation for each lock counts the removals under it, so that a file
// that was opened beside one is not listed after it.
type openTable struct {
	mu   sync.Mutex
	m    map[blob.Hash]*openFile
	gens [lockCount]uint64
	out  int // handles that are out
}

// acquire takes a reference of a file that is being read already.
func (t *openTable) acquire(h blob.Hash) *openFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.m[h]
	if f != nil {
		f.refs++
		t.out++
	}
	return f
}

// generation is to be read before the row, and given to add.
func (t *openTable) generation(h blob.Hash) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gens[lockOf(h)]
}

// add lists a file that was just opened, with a reference, or takes one of that which is listed already and leaves
// this one to the caller to close. It is false after a removal since gen.
func (t *openTable) add(f *openFile, gen uint64) (*openFile, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gens[lockOf(f.hash)] != gen {
		return nil, false
	}
	if there := t.m[f.hash]; there != nil {
		f = there
	} else {
		t.m[f.hash] = f
		f.listed = true
	}
	f.refs++
	t.out++
	return f, true
}

// remove ends the listing of a blob whose file is about to be removed or replaced; who opened it meanwhile does not list
// it. With readers on it the charge becomes theirs, to be given back with the last one, and remove says so.
func (t *openTable) remove(h blob.Hash, charge int64) (readers bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gens[lockOf(h)]++
	f := t.m[h]
	if f == nil {
		return false
	}
	delete(t.m, h)
	f.listed = false
	f.charge = charge
	return true
}

// release gives a reference back. The last one closes the file, and returns the charge that is free then.
func (t *openTable) release(f *openFile) (charge int64, err error) {
	t.mu.Lock()
	t.out--
	f.refs--
	last := f.refs == 0
	if last && f.listed {
		delete(t.m, f.hash)
	}
	t.mu.Unlock()
	if !last {
		return 0, nil
	}
	return f.charge, f.close()
}

func newOpenFile(h blob.Hash, file diskfs.File, size int64) *openFile {
	f := &openFile{hash: h, file: file, size: size}
	f.mapping = sync.OnceValue(f.mapAll)
	return f
}

// mapAll maps the file. What the file system cannot map is read instead.
func (f *openFile) mapAll() diskfs.Mapping {
	m, err := f.file.Map(f.size)
	if err != nil {
		return nil
	}
	f.mapped = m
	return m
}

// hot is the mapping if sending from it reads nothing from the disk.
func (f *openFile) hot(off, n int64) diskfs.Mapping {
	if cached, err := f.file.Cached(off, n); err != nil || !cached {
		return nil
	}
	return f.mapping()
}

// close ends the use of the file, once the last reference is gone.
func (f *openFile) close() error {
	var err error
	if f.mapped != nil {
		err = f.mapped.Unmap()
	}
	return errors.Join(err, f.file.Close())
}

// reading says whether somebody reads the blob.
func (t *openTable) reading(h blob.Hash) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[h] != nil
}

// Pinned is the number of handles that are out.
func (s *files) Pinned() int {
	s.open.mu.Lock()
	defer s.open.mu.Unlock()
	return s.open.out
}

// fileHandle is one reader of an open file. It is a blob.Handle.
type fileHandle struct {
	s        *files
	f        *openFile
	released atomic.Bool
}

func (h *fileHandle) Size() int64 { return h.f.size }

// SendTo writes what is in the page cache from a mapping, and what is not, or is small, through a pooled buffer. A page
// that cannot be read, or was cut off the file, is then an error of the system call; sendfile would not copy, and
// readers could get what the file's blocks hold later.
func (h *fileHandle) SendTo(sink blob.Sink, off, n int64) (int64, error) {
	if off < 0 || n < 0 || off > h.f.size || n > h.f.size-off {
		return 0, fmt.Errorf("disk: send %d bytes from %d of a blob of %d", n, off, h.f.size)
	}
	if n >= blob.MinSinkWrite {
		if m := h.f.hot(off, n); m != nil {
			return h.sendMapped(sink, m.Bytes(off, n))
		}
	}
	return h.send(sink, off, n)
}

// sendMapped hands mapped memory to the kernel.
func (h *fileHandle) sendMapped(sink blob.Sink, p []byte) (int64, error) {
	n, err := sink.Write(p)
	switch {
	case errors.Is(err, syscall.EFAULT):
		h.s.fault("read", err)
		h.s.suspect(h.f.hash)
		err = fmt.Errorf("disk: read %s: %w: %w", h.f.hash.Short(), blob.ErrUnavailable, err)
	case err == nil && n < len(p):
		err = io.ErrShortWrite
	}
	return int64(n), err
}

func (h *fileHandle) WriteTo(w io.Writer) (int64, error) { return h.send(w, 0, h.f.size) }

func (h *fileHandle) send(w io.Writer, off, n int64) (int64, error) {
	buf := h.s.buffers.Get()
	defer h.s.buffers.Put(buf)
	sent := int64(0)
	for sent < n {
		piece := buf[:min(int64(len(buf)), n-sent)]
		if _, err := h.read(piece, off+sent); err != nil {
			return sent, err
		}
		m, err := w.Write(piece)
		sent += int64(m)
		if err == nil && m < len(piece) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func (h *fileHandle) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, errors.New("disk: read at a negative offset")
	case off >= h.f.size:
		return 0, io.EOF
	}
	short := int64(len(p)) > h.f.size-off
	if short {
		p = p[:h.f.size-off]
	}
	n, err := h.read(p, off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// read fills p from within the blob. A file that cannot be read, or was cut by somebody, is not proven any more.
func (h *fileHandle) read(p []byte, off int64) (int, error) {
	n, err := h.f.file.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	kind, sentinel := "read", blob.ErrUnavailable
	if err == nil || errors.Is(err, io.EOF) {
		kind, sentinel, err = "corrupt", blob.ErrCorrupt, io.ErrUnexpectedEOF
	}
	h.s.fault(kind, err)
	h.s.suspect(h.f.hash)
	return n, fmt.Errorf("disk: read %s at %d: %w: %w", h.f.hash.Short(), off, sentinel, err)
}

func (h *fileHandle) Release() {
	if h.released.Swap(true) {
		panic("disk: handle released twice")
	}
	charge, err := h.s.open.release(h.f)
	h.s.fault("close", err)
	h.s.space.ungrab(charge)
}
