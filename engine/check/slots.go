package check

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// settled says whether all that concerns a slot was finished: below the watermark, by a run that ended in good order, or
// by the process that serves the mount.
func (s *segment) settled(slot uint32) bool {
	return s.rep.GoodStop || s.lost || slot < s.row.Watermark ||
		s.served != nil && s.served.view.Whole && s.row.State != index.StateFailed
}

// fault notes what is wrong with a blob row, unless the next open will find out by itself.
func (s *segment) fault(k Kind, r *row, format string, args ...any) {
	if !s.settled(r.slot) {
		s.pending()
		return
	}
	f := about(k, r.hash, r.location(s.id), format, args...)
	if s.served != nil {
		s.doubt(f)
		return
	}
	s.add(f)
}

// checkSlots joins the table with the blob rows: both are in the order of slots. It says whether it got to the end. An
// error ends the run.
func (s *segment) checkSlots(ctx context.Context) (whole bool, err error) {
	torn, err := s.file.Scan(0, s.slot)
	switch {
	case s.fatal != nil:
		return false, s.fatal
	case err != nil:
		return false, s.suspect(ctx, s.whole(Unreadable, "%v", err))
	}
	s.rep.Torn += int64(torn)
	s.rowsWithoutSlot(math.MaxInt64)
	return true, nil
}

// slot judges a valid slot and the rows that name it.
func (s *segment) slot(rec segments.Record) error {
	s.rep.Slots++
	if rec.Dead {
		s.rep.Dead++
	}
	if s.known && s.row.State != index.StateActive && s.row.Slots > 0 && rec.Slot >= s.row.Slots {
		s.findAt(SlotBeyondEnd, rec.Hash, rec.Location, "the segment was sealed with %d slots", s.row.Slots)
	}
	s.rowsWithoutSlot(int64(rec.Slot))
	named, live := false, false
	for ; s.next < len(s.rows) && s.rows[s.next].slot == rec.Slot; s.next++ {
		named = true
		if r := &s.rows[s.next]; s.matchRow(r, rec) {
			live = true
			s.live = append(s.live, r)
		}
	}
	var err error
	if s.lost && !rec.Dead {
		live, err = s.adopt(rec)
	} else if !named && !rec.Dead {
		err = s.unindexed(rec)
	}
	s.spans = append(s.spans, span{
		from: rec.Offset, to: rec.Offset + segments.Blocks(rec.Length), slot: rec.Slot, length: rec.Length, crc: rec.CRC,
		live: live, judged: named || !rec.Dead,
	})
	return err
}

// adopt takes a slot for live that has data, where there is no index to say so.
func (s *segment) adopt(rec segments.Record) (live bool, err error) {
	live, err = s.dataAt(rec.Location)
	if live {
		s.live = append(s.live, &row{
			hash: rec.Hash, seq: rec.Seq, offset: rec.Offset, slot: rec.Slot, length: rec.Length, crc: rec.CRC, kind: rec.Kind,
		})
	}
	return live, err
}

// dataAt is the segment's HasData, which is asked once for all that lies in one run of data.
func (s *segment) dataAt(l segments.Location) (bool, error) {
	end := l.Offset + int64(l.Length)
	if !l.Fits(s.hdr) || s.data.from <= l.Offset && end <= s.data.to {
		return l.Fits(s.hdr), nil
	}
	to, err := s.file.DataEnd(l.Offset)
	s.data = span{from: l.Offset, to: to}
	return end <= to, err
}

// rowsWithoutSlot judges the rows below `slot` that the scan passed: it gave them no valid slot.
func (s *segment) rowsWithoutSlot(slot int64) {
	for ; s.next < len(s.rows) && int64(s.rows[s.next].slot) < slot; s.next++ {
		s.fault(RowWithoutSlot, &s.rows[s.next], "the slot is empty, damaged, or beyond the table's %d", s.hdr.Slots())
	}
}

// matchRow compares a row with its slot, and says whether the row stands.
func (s *segment) matchRow(r *row, rec segments.Record) bool {
	switch {
	case r.hash != rec.Hash:
		s.fault(RowOfOtherSlot, r, "the slot is of blob %s", rec.Hash)
	case r.location(s.id) != rec.Location || r.kind != rec.Kind:
		s.fault(RowOfOtherSlot, r, "the row says %d bytes (%s) at %d with CRC %08x, the slot %d (%s) at %d with %08x",
			r.length, r.kind, r.offset, r.crc, rec.Length, rec.Kind, rec.Offset, rec.CRC)
	case rec.Dead:
		s.fault(RowOfDeadSlot, r, "the slot is marked dead")
	default:
		return s.hasData(r, rec)
	}
	return false
}

func (s *segment) hasData(r *row, rec segments.Record) bool {
	switch ok, err := s.dataAt(rec.Location); {
	case err != nil:
		s.fault(Unreadable, r, "%v", err)
	case !ok:
		s.fault(NoData, r, "there is a hole in its %d bytes, or the file ends before them", rec.Length)
	default:
		return true
	}
	return false
}

// unindexed judges a slot that is valid and not dead, and that no blob row names.
func (s *segment) unindexed(rec segments.Record) error {
	if s.served != nil {
		return nil // it came since the rows were read, or is about to be marked dead
	}
	if _, buried := s.tombs[rec.Slot]; buried || s.row.State == index.StateDoomed {
		return nil
	}
	if ok, err := s.dataAt(rec.Location); err != nil || !ok {
		return err
	}
	if s.row.State == index.StateFailed && rec.Slot >= s.row.Watermark {
		return nil // nothing above the watermark of a failed segment counts
	}
	if !s.rep.GoodStop {
		s.pending() // to be added above the watermark, and below it to be marked dead, which did not reach the disk
		return nil
	}
	where := "the index does not know the blob"
	switch e, err := s.ix.Get(rec.Hash); {
	case err == nil:
		where = fmt.Sprintf("the index has the blob at %d:%d", e.Segment, e.Slot)
	case isDamage(err):
		s.find(Index, s.id, "%v", err)
		where = "the index cannot say whether it knows the blob"
	case !errors.Is(err, blob.ErrNotFound):
		s.fatal = err
		return err
	}
	s.findAt(SlotWithoutRow, rec.Hash, rec.Location, "%s, and the slot (sequence %d) is not marked dead", where, rec.Seq)
	return nil
}
