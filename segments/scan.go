package segments

import (
	"errors"
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// ReadSlot reads one slot. Errors: ErrBadSlot when it is not valid.
func (s *Segment) ReadSlot(slot uint32) (Record, error) {
	f, err := s.acquire()
	if err != nil {
		return Record{}, err
	}
	defer s.letGo()
	if slot >= s.hdr.Slots() {
		return Record{}, fmt.Errorf("%w: %d:%d: the table ends at %d", ErrBadSlot, s.hdr.ID, slot, s.hdr.Slots())
	}
	var b [SlotSize]byte
	if _, err := f.ReadAt(b[:], slotAt(slot)); err != nil && err != io.EOF {
		return Record{}, fmt.Errorf("segments: read slot %d:%d: %w", s.hdr.ID, slot, err)
	}
	return parseSlot(b[:], s.hdr, slot)
}

// scanChunk is how much of the table one read of a scan takes: a whole number of slots.
const scanChunk = 1024 * SlotSize

// Scan calls fn for every valid slot from number `from` on, dead ones too, in order. It reads only the parts of the
// table that hold data, so a scan costs what the records' slots cost. It returns the number of slots that were
// written but are not valid, and the first error of the file system or of fn.
func (s *Segment) Scan(from uint32, fn func(Record) error) (bad int, err error) {
	f, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.letGo()
	end := slotAt(s.hdr.Slots())
	buf := make([]byte, scanChunk)
	for n := from; n < s.hdr.Slots(); {
		at, err := f.SeekData(slotAt(n))
		if err == io.EOF || err == nil && at >= end {
			return bad, nil
		}
		if err != nil {
			return bad, fmt.Errorf("segments: scan %d: %w", s.hdr.ID, err)
		}
		n = max(n, uint32((at-HeaderSize)/SlotSize))
		want := min(int64(len(buf)), end-slotAt(n))
		got, err := f.ReadAt(buf[:want], slotAt(n))
		if err != nil && err != io.EOF {
			return bad, fmt.Errorf("segments: scan %d: %w", s.hdr.ID, err)
		}
		clear(buf[got:want])
		b, err := s.scanChunk(buf[:want], n, fn)
		bad += b
		if err != nil {
			return bad, err
		}
		n += uint32(want / SlotSize)
	}
	return bad, nil
}

// scanChunk passes the valid slots of chunk, whose first is number n, to fn.
func (s *Segment) scanChunk(chunk []byte, n uint32, fn func(Record) error) (bad int, err error) {
	for ; len(chunk) >= SlotSize; chunk, n = chunk[SlotSize:], n+1 {
		if [SlotSize]byte(chunk) == ([SlotSize]byte{}) {
			continue // never written: most of a table is, and no extent starts at 0
		}
		rec, err := parseSlot(chunk[:SlotSize], s.hdr, n)
		if err != nil {
			bad++
			continue
		}
		if err := fn(rec); err != nil {
			return bad, err
		}
	}
	return bad, nil
}

// HasData says whether the whole extent holds data: false when any of it is a hole, or lies beyond the file's end.
func (s *Segment) HasData(l Location) (bool, error) {
	if h, err := s.Header(); err != nil || !l.Fits(h) {
		return false, err
	}
	end, err := s.DataEnd(l.Offset)
	return end >= l.Offset+int64(l.Length), err
}

// DataEnd is where the data ends that begins at off, or before it: off itself when it is in a hole, or beyond the file's
// end.
func (s *Segment) DataEnd(off int64) (int64, error) {
	f, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.letGo()
	at, err := f.SeekData(off)
	if err == io.EOF || err == nil && at != off {
		return off, nil
	}
	if err != nil {
		return 0, fmt.Errorf("segments: seek data in %d: %w", s.hdr.ID, err)
	}
	hole, err := f.SeekHole(off)
	if err != nil {
		return 0, fmt.Errorf("segments: seek hole in %d: %w", s.hdr.ID, err)
	}
	return hole, nil
}

// Verify reads the payload through buf and compares it with its CRC. buf has any size above 0. Errors: blob.ErrCorrupt,
// or the file system's.
func (s *Segment) Verify(l Location, buf []byte) error {
	f, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.letGo()
	var crc uint32
	for off, end := l.Offset, l.Offset+int64(l.Length); off < end; {
		p := buf[:min(int64(len(buf)), end-off)]
		n, err := f.ReadAt(p, off)
		if n < len(p) {
			return readError(l, n, err)
		}
		crc = updateCRC(crc, p)
		off += int64(n)
	}
	if crc != l.CRC {
		return corrupt(l)
	}
	return nil
}

// ReadPayload reads the whole payload into buf, which has its length, and compares it with its CRC. Errors as Verify.
func (s *Segment) ReadPayload(l Location, buf []byte) error {
	f, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.letGo()
	return readPayload(f, l, buf)
}

func readPayload(f diskfs.File, l Location, buf []byte) error {
	n, err := f.ReadAt(buf[:l.Length], l.Offset)
	if n < int(l.Length) {
		return readError(l, n, err)
	}
	if Checksum(buf[:l.Length]) != l.CRC {
		return corrupt(l)
	}
	return nil
}

// readDirect is ReadPayload around the page cache. buf has room for all blocks of the payload. A read that comes up short
// is errors.ErrUnsupported too: ReadPayload knows what to say about it.
func (s *Segment) readDirect(l Location, buf []byte) error {
	f, err := s.open()
	if err != nil {
		return err
	}
	n, err := f.ReadDirect(buf[:Blocks(l.Length)], l.Offset)
	if err == io.EOF || errors.Is(err, errors.ErrUnsupported) {
		return errors.ErrUnsupported
	}
	if err != nil {
		return readError(l, n, err)
	}
	if ChecksumRead(buf[:l.Length]) != l.CRC {
		return corrupt(l)
	}
	return nil
}

func readError(l Location, n int, err error) error {
	if err == io.EOF {
		return fmt.Errorf("segments: read %d:%d: %w: file ends after %d of %d bytes", l.Segment, l.Slot, blob.ErrCorrupt, n, l.Length)
	}
	return fmt.Errorf("segments: read %d:%d: %w", l.Segment, l.Slot, err)
}

func corrupt(l Location) error {
	return fmt.Errorf("segments: read %d:%d: %w: checksum mismatch", l.Segment, l.Slot, blob.ErrCorrupt)
}
