package segments

import (
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
)

// Reserve claims the next slot and room for a payload of n bytes in an active segment. It says false when either is
// used up. Each reserved slot must be completed, whatever comes of it.
func (s *Segment) Reserve(n uint32) (Location, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed || s.next >= s.hdr.Slots() || s.tail+Blocks(n) > s.hdr.End() {
		return Location{}, false
	}
	l := Location{Segment: s.hdr.ID, Slot: s.next, Offset: s.tail, Length: n}
	s.next++
	s.tail += Blocks(n)
	return l, true
}

// Write writes the payload and then the slot of a reserved record. It syncs nothing. After an error the record does
// not count, and the segment should be sealed. What would not be a valid record is refused before anything is written.
// The payload is not kept.
//
// Records are written one after the other. The kernel lets one writer into a file at a time anyway, and has the others
// spin on their processors; here they wait without.
func (s *Segment) Write(rec Record, payload []byte) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	if rec.Segment != s.hdr.ID || int64(rec.Length) != int64(len(payload)) || rec.Kind > blob.KindSD || !rec.Fits(s.hdr) {
		return fmt.Errorf("segments: write %d:%d: %d bytes at %d+%d are no record of segment %d",
			rec.Segment, rec.Slot, len(payload), rec.Offset, rec.Length, s.hdr.ID)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, err := f.WriteAt(payload, rec.Offset); err != nil {
		return fmt.Errorf("segments: write payload %d:%d: %w", rec.Segment, rec.Slot, err)
	}
	var b [SlotSize]byte
	encodeSlot(b[:], s.hdr, rec)
	if _, err := f.WriteAt(b[:], slotAt(rec.Slot)); err != nil {
		return fmt.Errorf("segments: write slot %d:%d: %w", rec.Segment, rec.Slot, err)
	}
	return nil
}

// Complete says that nothing more will be done for a reserved slot: its record is in the index, or was given up.
func (s *Segment) Complete(slot uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[slot] = struct{}{}
	for {
		if _, ok := s.done[s.prefix]; !ok {
			return
		}
		delete(s.done, s.prefix)
		s.prefix++
	}
}

// Prefix is the number of slots from the first on that are all completed: what a watermark may be set to after a
// Sync that began later.
func (s *Segment) Prefix() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prefix
}

// Gaps says whether a slot above the prefix is completed already.
func (s *Segment) Gaps() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.done) > 0
}

// Reserved is the number of slots that were reserved.
func (s *Segment) Reserved() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// Seal ends the writing: no more slots are reserved. Reserved ones may still be written; GiveBack comes after them.
func (s *Segment) Seal() {
	s.mu.Lock()
	s.sealed = true
	s.mu.Unlock()
}

// GiveBack cuts the preallocated tail of a sealed segment after end, the offset that follows its last payload.
func (s *Segment) GiveBack(end int64) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	if err := f.Truncate(max(end, s.hdr.PayloadAt())); err != nil {
		return fmt.Errorf("segments: give back the tail of %d: %w", s.hdr.ID, err)
	}
	return nil
}

// Tail is the offset after the last reserved payload.
func (s *Segment) Tail() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail
}

// MarkDead sets the dead bit in a slot on disk. A slot that is not valid is left as it is. It syncs nothing.
func (s *Segment) MarkDead(slot uint32) error {
	rec, err := s.ReadSlot(slot)
	if err != nil || rec.Dead {
		return err
	}
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	rec.Dead = true
	var b [SlotSize]byte
	encodeSlot(b[:], s.hdr, rec)
	if _, err := f.WriteAt(b[:], slotAt(slot)); err != nil {
		return fmt.Errorf("segments: mark %d:%d dead: %w", s.hdr.ID, slot, err)
	}
	return nil
}

// Punch gives the blocks of [off, off+n) back. Nothing in the range may be live or pinned.
func (s *Segment) Punch(off, n int64) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	if off < s.hdr.PayloadAt() || off+n > s.hdr.End() {
		return fmt.Errorf("segments: punch %d: %d+%d is outside of the payloads", s.hdr.ID, off, n)
	}
	if err := f.Punch(off, n); err != nil {
		return fmt.Errorf("segments: punch %d: %w", s.hdr.ID, err)
	}
	return nil
}

// PunchTable gives back the blocks of the table behind its first n slots: a copy of a segment may have them, full of zeros.
// None of the slots there may be valid.
func (s *Segment) PunchTable(n uint32) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	at, end := TableBytes(n), s.hdr.PayloadAt()
	if at >= end {
		return nil
	}
	if err := f.Punch(at, end-at); err != nil {
		return fmt.Errorf("segments: give back the table of %d: %w", s.hdr.ID, err)
	}
	return nil
}

// EraseSlot makes a slot one that was never written. It is for the repair of a mount at rest: of two slots with one
// extent, one must not count. It syncs nothing.
func (s *Segment) EraseSlot(slot uint32) error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	if _, err := f.WriteAt(make([]byte, SlotSize), slotAt(slot)); err != nil {
		return fmt.Errorf("segments: erase slot %d:%d: %w", s.hdr.ID, slot, err)
	}
	return nil
}
