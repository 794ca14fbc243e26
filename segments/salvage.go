package segments

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// ScanAround is Scan from the first slot on for the repair of a mount at rest: blocks of the table that the disk does not
// give (syscall.EIO) are passed over, with the slots that reach into them. It says which those are.
func (s *Segment) ScanAround(fn func(Record) error) (unread []Extent, err error) {
	f, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer s.letGo()
	end := s.hdr.TableEnd()
	buf := make([]byte, scanChunk)
	for n := uint32(0); n < s.hdr.Slots(); {
		at, err := f.SeekData(slotAt(n))
		if err == io.EOF || err == nil && at >= end {
			return unread, nil
		}
		if err != nil {
			return unread, fmt.Errorf("segments: scan %d: %w", s.hdr.ID, err)
		}
		n = max(n, SlotOf(at))
		chunk := buf[:min(int64(len(buf)), end-slotAt(n))]
		bad, err := readAround(f, chunk, slotAt(n))
		if err != nil {
			return unread, fmt.Errorf("segments: scan %d: %w", s.hdr.ID, err)
		}
		unread = append(unread, bad...)
		if _, err := s.scanChunk(chunk, n, fn); err != nil {
			return unread, err
		}
		n += uint32(len(chunk) / SlotSize)
	}
	return unread, nil
}

// readAround reads what can be read; the rest of p, and what lies behind the end of the file, is zeros.
func readAround(f diskfs.File, p []byte, off int64) (unread []Extent, err error) {
	n, err := f.ReadAt(p, off)
	if err == nil || err == io.EOF {
		clear(p[n:])
		return nil, nil
	}
	for at := off; at < off+int64(len(p)); {
		to := min((at/BlockSize+1)*BlockSize, off+int64(len(p)))
		piece := p[at-off : to-off]
		n, err := f.ReadAt(piece, at)
		switch {
		case err == nil || err == io.EOF:
			clear(piece[n:])
		case errors.Is(err, syscall.EIO):
			clear(piece)
			unread = append(unread, Extent{at, to})
		default:
			return unread, err
		}
		at = to
	}
	return unread, nil
}

// RestoreSlot writes the slot of a record whose slot was lost. It is for the repair of a mount at rest, and syncs nothing.
func (s *Segment) RestoreSlot(rec Record) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	if rec.Segment != s.hdr.ID || !rec.Fits(s.hdr) {
		return fmt.Errorf("segments: restore slot %d:%d: it is no slot of segment %d", rec.Segment, rec.Slot, s.hdr.ID)
	}
	var b [SlotSize]byte
	encodeSlot(b[:], s.hdr, rec)
	if _, err := f.WriteAt(b[:], slotAt(rec.Slot)); err != nil {
		return fmt.Errorf("segments: restore slot %d:%d: %w", rec.Segment, rec.Slot, err)
	}
	return nil
}
