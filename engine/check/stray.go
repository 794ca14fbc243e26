package check

import (
	"cmp"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// checkStrays looks at what no record needs, when payloads are read too: it must be zeros, or holes. Which of it that
// holds for, and when, is in docs/design/0035.
func (s *segment) checkStrays() {
	if !s.o.Payloads && !s.o.Hashes || s.row.State == index.StateDoomed {
		return
	}
	err := s.file.Stray(s.needed(), func(x segments.Extent) error {
		if ok, err := s.halfMarked(x); ok || err != nil {
			return err
		}
		s.add(Finding{
			Kind: StrayBytes, Segment: s.id, Slot: NoSlot, Offset: x.From, Detail: s.where(x),
		})
		return nil
	})
	if err != nil {
		s.find(Unreadable, s.id, "where no record is: %v", err)
	}
}

// halfMarked says whether the bytes are those of dead slots only that a power cut caught while they were marked.
func (s *segment) halfMarked(x segments.Extent) (bool, error) {
	if x.From < segments.HeaderSize || x.To > s.hdr.TableEnd() {
		return false, nil
	}
	for slot := segments.SlotOf(x.From); slot <= segments.SlotOf(x.To-1); slot++ {
		if state, err := s.file.SlotState(slot); err != nil || state == segments.SlotDamaged {
			return false, err
		}
	}
	return true, nil
}

// where says what part of the file the bytes are in.
func (s *segment) where(x segments.Extent) string {
	switch {
	case x.From < segments.HeaderSize:
		return "the rest of the header's block is not zeros"
	case x.From < s.hdr.TableEnd():
		return "there are slots that are neither empty nor valid, and no record is known to be theirs"
	case x.From < s.hdr.PayloadAt():
		return "the space between the table and the payloads is not zeros"
	case x.From >= s.hdr.End():
		return "the file goes on after the end that its header gives it"
	}
	return "there are bytes where no record is"
}

// needed gives the extents that may hold something, in order.
func (s *segment) needed() []segments.Extent {
	all := []segments.Extent{segments.HeaderExtent()}
	add := func(from, to int64) { all = append(all, segments.Extent{From: from, To: to}) }
	if s.rep.GoodStop && s.known && s.row.State == index.StateSealed {
		for _, x := range s.spans {
			all = append(all, segments.SlotExtent(x.slot))
			if x.live || x.judged || s.stillWhole(x) {
				add(x.from, x.from+int64(x.length))
			}
		}
		for i := range s.rows { // what is wrong with these was said
			r := &s.rows[i]
			all = append(all, segments.SlotExtent(r.slot))
			add(r.offset, r.offset+int64(r.length))
		}
	} else {
		add(segments.HeaderSize, s.hdr.TableEnd())
		at := s.hdr.PayloadAt()
		for _, x := range s.spans { // by offset
			if x.live && s.settled(x.slot) {
				add(at, x.from+int64(x.length))
				at = max(at, x.to)
			}
		}
		add(at, s.hdr.End())
	}
	slices.SortFunc(all, func(a, b segments.Extent) int { return cmp.Compare(a.From, b.From) })
	return all
}

// stillWhole says whether a dead record's payload is as it was when it died.
func (s *segment) stillWhole(x span) bool {
	l := segments.Location{Segment: s.id, Slot: x.slot, Offset: x.from, Length: x.length, CRC: x.crc}
	if ok, err := s.file.HasData(l); err != nil || !ok {
		return false
	}
	return s.file.Verify(l, s.scratch()) == nil
}

// scratch is a buffer of the checker that has room for a payload.
func (c *checker) scratch() []byte {
	if c.room == nil {
		c.room = make([]byte, blob.MaxSize)
	}
	return c.room
}
