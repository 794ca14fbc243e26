package segments

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
)

// Handle reads one pinned record. It is a blob.Handle.
//
// Where its bytes are was settled when it was opened: a small payload, or one that the page cache did not hold, is in
// a buffer and was compared with its CRC there; any other is in the page cache and leaves from the mapping.
type Handle struct {
	seg      *Segment
	loc      Location
	bufs     *Buffers
	buf      []byte // the payload, or nil
	large    bool   // buf is of the large pool
	released atomic.Bool
}

// OpenHandle makes a handle of a pin that the caller holds, and takes the pin over. With prove set, or when the page
// cache does not hold all of the payload, the payload is read and compared with its CRC first. On an error the pin
// stays the caller's. Errors: blob.ErrCorrupt, or the file system's.
func (s *Segment) OpenHandle(l Location, bufs *Buffers, prove bool) (*Handle, error) {
	h := &Handle{seg: s, loc: l, bufs: bufs}
	if l.Length <= SmallMax {
		f, err := s.open()
		if err != nil {
			return nil, err
		}
		h.buf = bufs.small.Get()
		if err := readPayload(f, l, h.buf); err != nil {
			h.giveBuffer()
			return nil, err
		}
		return h, nil
	}
	m, err := s.mapping()
	if err != nil {
		return nil, err
	}
	var hot, known bool
	if m != nil {
		hot, known = s.cached(l)
	}
	if hot && !prove {
		return h, nil
	}
	if err := h.prove(known && !hot); err != nil {
		h.giveBuffer()
		return nil, err
	}
	if hot {
		h.giveBuffer() // a slow reader must not hold a large buffer when the page cache holds the payload
	}
	return h, nil
}

// prove reads the payload and compares it with its CRC: into a large buffer when one is free, else in pieces, and then
// it is sent from the mapping. With cold set the page cache does not hold it, and most reads go around that.
func (h *Handle) prove(cold bool) error {
	buf, ok := h.bufs.large.TryGet()
	if !ok {
		piece := h.bufs.small.Get()
		defer h.bufs.small.Put(piece)
		return h.seg.Verify(h.loc, piece)
	}
	h.buf, h.large = buf, true
	if cold && !h.bufs.admit() {
		err := h.seg.readDirect(h.loc, buf)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return h.seg.ReadPayload(h.loc, buf)
}

// cached says whether the page cache holds all of the payload, and whether the kernel can tell.
func (s *Segment) cached(l Location) (hot, known bool) {
	f, err := s.open()
	if err != nil {
		return false, false
	}
	hot, err = f.Cached(l.Offset, int64(l.Length))
	return hot, err == nil
}

func (h *Handle) giveBuffer() {
	switch {
	case h.buf == nil:
	case h.large:
		h.bufs.large.Put(h.buf)
	default:
		h.bufs.small.Put(h.buf)
	}
	h.buf = nil
}

// Size is the payload's length in bytes.
func (h *Handle) Size() int64 { return int64(h.loc.Length) }

// Location is where the record is.
func (h *Handle) Location() Location { return h.loc }

// SendTo writes [off, off+n) to the sink: large ranges straight from the mapping.
func (h *Handle) SendTo(s blob.Sink, off, n int64) (int64, error) {
	if off < 0 || n < 0 || n > h.Size()-off {
		return 0, fmt.Errorf("segments: send %d+%d of a blob of %d bytes", off, n, h.Size())
	}
	if h.buf != nil {
		return h.fault(writeAll(s, h.buf[off:off+n]))
	}
	m, err := h.seg.mapping()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", blob.ErrUnavailable, err)
	}
	if m == nil || n < blob.MinSinkWrite {
		return h.copyTo(s, off, n)
	}
	return h.fault(writeAll(s, m.Bytes(h.loc.Offset+off, n)))
}

// WriteTo writes the whole payload to any writer, through a pooled buffer.
func (h *Handle) WriteTo(w io.Writer) (int64, error) {
	if h.buf != nil {
		return writeAll(w, h.buf[:h.loc.Length])
	}
	return h.copyTo(w, 0, h.Size())
}

// copyTo writes a range in pieces read into an ordinary buffer: a large one, if there is one, as long as the reader is
// prompt, and then a small one.
func (h *Handle) copyTo(w io.Writer, off, n int64) (int64, error) {
	whole := func(p []byte) (int, error) {
		k, err := writeAll(w, p)
		return int(k), err
	}
	prompt := whole
	if p, ok := w.(blob.PromptWriter); ok {
		prompt = p.WritePrompt
	}
	done, err := h.copyLarge(prompt, off, n)
	if err != nil || done == n {
		return done, err
	}
	piece := h.bufs.small.Get()
	defer h.bufs.small.Put(piece)
	rest, err := h.copyPieces(piece, whole, off+done, n-done)
	return done + rest, err
}

// copyLarge is copyPieces with a large piece. It writes nothing when there is none.
func (h *Handle) copyLarge(write func([]byte) (int, error), off, n int64) (int64, error) {
	piece, ok := h.bufs.piece.TryGet()
	if !ok {
		return 0, nil
	}
	defer h.bufs.piece.Put(piece)
	return h.copyPieces(piece, write, off, n)
}

// copyPieces reads a range into piece, again and again, and writes it, until write takes less than it is given.
func (h *Handle) copyPieces(piece []byte, write func([]byte) (int, error), off, n int64) (int64, error) {
	var done int64
	for done < n {
		p := piece[:min(int64(len(piece)), n-done)]
		if got, err := h.ReadAt(p, off+done); got < len(p) {
			return done, fmt.Errorf("%w: %w", blob.ErrUnavailable, err)
		}
		k, err := write(p)
		done += int64(k)
		if err != nil || k < len(p) {
			return done, err
		}
	}
	return done, nil
}

// ReadAt copies into p.
func (h *Handle) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("segments: read at %d", off)
	}
	if off >= h.Size() {
		return 0, io.EOF
	}
	want := min(int64(len(p)), h.Size()-off)
	n, err := h.readRange(p[:want], off)
	switch {
	case int64(n) < want:
		return n, readError(h.loc, n, err)
	case want < int64(len(p)):
		return n, io.EOF
	}
	return n, nil
}

// readRange fills p, which lies inside the payload.
func (h *Handle) readRange(p []byte, off int64) (int, error) {
	if h.buf != nil {
		return copy(p, h.buf[off:]), nil
	}
	f, err := h.seg.open()
	if err != nil {
		return 0, err
	}
	return f.ReadAt(p, h.loc.Offset+off)
}

// Release ends the pin.
func (h *Handle) Release() {
	if h.released.Swap(true) {
		panic("segments: handle released twice")
	}
	h.giveBuffer()
	h.seg.Unpin(h.loc.Slot)
}

// fault turns the system call's word for a mapped page that could not be read into an error of ours.
func (h *Handle) fault(n int64, err error) (int64, error) {
	if errors.Is(err, syscall.EFAULT) {
		return n, fmt.Errorf("segments: read %d:%d: %w: a mapped page cannot be read", h.loc.Segment, h.loc.Slot, blob.ErrUnavailable)
	}
	return n, err
}

func writeAll(w io.Writer, p []byte) (int64, error) {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return int64(n), err
}

var _ blob.Handle = (*Handle)(nil)
