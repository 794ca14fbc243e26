package segments

import (
	"errors"
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// DirectPiece is how much one read past the page cache takes, in bytes: a whole number of blocks.
const DirectPiece = 256 << 10

// ProveOnDevice compares the slot and the payload of a record with what the device holds, past the page cache, which
// after a failed sync shows bytes that never arrived. Errors: blob.ErrCorrupt when they do not agree, ErrBadSlot,
// errors.ErrUnsupported where the file system cannot read so, or the file system's.
func (s *Segment) ProveOnDevice(h blob.Hash, l Location) error {
	return s.ProveSlowly(h, l, func() error { return nil })
}

// ProveSlowly is ProveOnDevice that calls between before each piece of the payload but the first. Its error ends the proof,
// and is returned as it is.
func (s *Segment) ProveSlowly(h blob.Hash, l Location, between func() error) error {
	f, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.letGo()
	if !l.Fits(s.hdr) {
		return corrupt(l)
	}
	buf := diskfs.Aligned(DirectPiece)
	at := slotAt(l.Slot) &^ (BlockSize - 1)
	got, err := readBlocks(f, buf, at, slotAt(l.Slot)+SlotSize)
	if err != nil {
		return fmt.Errorf("segments: read slot %d:%d from the device: %w", l.Segment, l.Slot, err)
	}
	rec, err := parseSlot(got[slotAt(l.Slot)-at:], s.hdr, l.Slot)
	if err != nil {
		return err
	}
	if rec.Hash != h || rec.Location != l || rec.Dead {
		return fmt.Errorf("segments: %d:%d: %w: the device holds another record", l.Segment, l.Slot, blob.ErrCorrupt)
	}
	var crc uint32
	for off, end := l.Offset, l.Offset+int64(l.Length); off < end; off += DirectPiece {
		if off > l.Offset {
			if err := between(); err != nil {
				return err
			}
		}
		got, err := readBlocks(f, buf, off, min(off+DirectPiece, end))
		if err != nil {
			return fmt.Errorf("segments: read %d:%d from the device: %w", l.Segment, l.Slot, err)
		}
		crc = updateCRC(crc, got)
	}
	if crc != l.CRC {
		return corrupt(l)
	}
	return nil
}

// ReadBlocks reads whole blocks from off on, past the page cache where the file system can read so: what is read for its
// own sake displaces nothing, and is what the device holds. off is a block's beginning, and buf is whole blocks that come
// from diskfs.Aligned. At the end of the file it gives fewer bytes and io.EOF; other errors are the file system's.
func (s *Segment) ReadBlocks(buf []byte, off int64) (int, error) {
	f, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.letGo()
	n, err := f.ReadDirect(buf, off)
	if errors.Is(err, errors.ErrUnsupported) {
		return f.ReadAt(buf, off)
	}
	return n, err
}

// readBlocks reads [from, to) into buf, in whole blocks from `from`, a block's beginning, on. What lies beyond the end of
// the file is zeros.
func readBlocks(f diskfs.File, buf []byte, from, to int64) ([]byte, error) {
	whole := buf[:Blocks(uint32(to-from))]
	n, err := f.ReadDirect(whole, from)
	if err != nil && err != io.EOF {
		return nil, err
	}
	clear(whole[n:])
	return whole[:to-from], nil
}
