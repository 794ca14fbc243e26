package segments

import (
	"fmt"
	"io"
	"slices"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Extent is a range of a segment's file, in bytes: From is its first, To the one after its last.
type Extent struct{ From, To int64 }

// HeaderExtent is what a header says; the rest of its block is zeros.
func HeaderExtent() Extent { return Extent{0, headerCRCAt + 4} }

// SlotExtent is where a slot is.
func SlotExtent(slot uint32) Extent { return Extent{slotAt(slot), slotAt(slot) + SlotSize} }

// SlotOf is the number of the slot that an offset in the table is in.
func SlotOf(off int64) uint32 { return uint32((off - HeaderSize) / SlotSize) }

// TableEnd is the offset after the last slot.
func (h Header) TableEnd() int64 { return slotAt(h.Slots()) }

// Stray looks for bytes that are not zero outside of the known extents, which are in the order of From and may overlap. Of
// each gap between them it passes what lies between the first such byte and the last to fn. Only what holds data is
// read. An error is that of the file system, or of fn.
func (s *Segment) Stray(known []Extent, fn func(Extent) error) error {
	f, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.letGo()
	size, err := f.Size()
	if err != nil {
		return err
	}
	buf := make([]byte, strayPiece)
	at := int64(0)
	for _, k := range append(slices.Clip(known), Extent{size, size}) {
		gap := Extent{at, min(k.From, size)}
		at = max(at, k.To)
		if gap.From >= gap.To {
			continue
		}
		x, err := notZero(f, gap, buf)
		if err != nil {
			return fmt.Errorf("segments: read %d at %d: %w", s.hdr.ID, gap.From, err)
		}
		if x == (Extent{}) {
			continue
		}
		if err := fn(x); err != nil {
			return err
		}
	}
	return nil
}

// strayPiece is how much one read of Stray takes, in bytes.
const strayPiece = 256 << 10

// notZero finds the first and the last byte of a range that are not zero.
func notZero(f diskfs.File, gap Extent, buf []byte) (found Extent, err error) {
	for at := gap.From; at < gap.To; {
		to := gap.To
		if gap.To-gap.From > BlockSize { // a look for holes costs as much as a block
			if at, err = f.SeekData(at); err == io.EOF || err == nil && at >= gap.To {
				return found, nil
			}
			if err != nil {
				return found, err
			}
			if to, err = f.SeekHole(at); err != nil {
				return found, err
			}
			to = min(to, gap.To)
		}
		for at < to {
			p := buf[:min(int64(len(buf)), to-at)]
			n, err := f.ReadAt(p, at)
			if n < len(p) && err != io.EOF {
				return found, err
			}
			clear(p[n:])
			found = found.widen(p, at)
			at += int64(len(p))
		}
	}
	return found, nil
}

// widen adds the bytes of p that are not zero; at is the offset of the first one of p.
func (x Extent) widen(p []byte, at int64) Extent {
	first := slices.IndexFunc(p, func(c byte) bool { return c != 0 })
	if first < 0 {
		return x
	}
	last := len(p) - 1
	for p[last] == 0 {
		last--
	}
	if x == (Extent{}) {
		x.From = at + int64(first)
	}
	x.To = at + int64(last) + 1
	return x
}

// Blank writes zeros. It is for the repair of a mount at rest, and syncs nothing.
func (s *Segment) Blank(x Extent) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	zeros := make([]byte, min(strayPiece, x.To-x.From))
	for at := x.From; at < x.To; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), x.To-at)], at); err != nil {
			return fmt.Errorf("segments: blank %d at %d: %w", s.hdr.ID, at, err)
		}
	}
	return nil
}

// SlotState is what a slot is, by its bytes.
type SlotState int

// The states of slots.
const (
	SlotEmpty      SlotState = iota // zeros: it was never written
	SlotValid                       // by the rules of the package comment
	SlotHalfMarked                  // valid but for a dead mark of which a power cut let one sector through; it is no slot
	SlotDamaged                     // anything else: half written, or damaged
)

// sectorSize is what a disk writes at once, whole or not at all, in bytes.
const sectorSize = 512

// SlotState looks at a slot.
func (s *Segment) SlotState(slot uint32) (SlotState, error) {
	f, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.letGo()
	var b [SlotSize]byte
	if _, err := f.ReadAt(b[:], slotAt(slot)); err != nil && err != io.EOF {
		return 0, fmt.Errorf("segments: read slot %d:%d: %w", s.hdr.ID, slot, err)
	}
	if b == ([SlotSize]byte{}) {
		return SlotEmpty, nil
	}
	if _, err := parseSlot(b[:], s.hdr, slot); err == nil {
		return SlotValid, nil
	}
	if at := (slotAt(slot) + slotCRCAt) % sectorSize; at != 0 && at != slotCRCAt-deadByte-1 {
		return SlotDamaged, nil // the mark and its CRC are in one sector
	}
	b[deadByte] ^= deadBit >> (8 * (deadByte - metaAt))
	if _, err := parseSlot(b[:], s.hdr, slot); err != nil {
		return SlotDamaged, nil
	}
	return SlotHalfMarked, nil
}

// Where the dead bit is in a slot.
const (
	metaAt   = 64
	deadByte = metaAt + 3
)

// EraseTorn makes slots from number `from` to below `to` that are neither empty nor valid empty: a power cut, or a write
// that failed half way, left them. It syncs nothing.
func (s *Segment) EraseTorn(from, to uint32) error {
	for slot := from; slot < to; slot++ {
		state, err := s.SlotState(slot)
		if err == nil && state >= SlotHalfMarked {
			err = s.EraseSlot(slot)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
