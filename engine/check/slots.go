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
	return s.rep.GoodStop || slot < s.row.Watermark || s.live != nil && s.live.view.Whole && s.row.State != index.StateFailed
}

// fault notes what is wrong with a blob row, unless the next open will find out by itself.
func (s *segment) fault(k Kind, r *row, format string, args ...any) {
	if !s.settled(r.slot) {
		s.rep.Pending++
		return
	}
	f := about(k, r.hash, r.location(s.id), format, args...)
	if s.live != nil {
		s.doubts = append(s.doubts, f)
		return
	}
	s.rep.add(f)
}

// checkSlots joins the table with the blob rows: both are in the order of slots. It says whether it got to the end. An
// error ends the run.
func (s *segment) checkSlots(ctx context.Context) (whole bool, err error) {
	torn, err := s.file.Scan(0, func(rec segments.Record) error { return s.slot(ctx, rec) })
	switch {
	case s.fatal != nil:
		return false, s.fatal
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		return false, s.suspect(ctx, Unreadable, "%v", err)
	}
	s.rep.Torn += int64(torn)
	s.rowsWithoutSlot(math.MaxInt64)
	return true, nil
}

// slot judges a valid slot and the rows that name it.
func (s *segment) slot(ctx context.Context, rec segments.Record) error {
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
		live = s.matchRow(&s.rows[s.next], rec) || live
	}
	s.spans = append(s.spans, span{rec.Offset, rec.Offset + segments.Blocks(rec.Length), rec.Slot, live})
	switch {
	case live:
		return s.checkPayload(ctx, rec)
	case !named && !rec.Dead:
		return s.unindexed(rec)
	}
	return nil
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
	switch ok, err := s.file.HasData(rec.Location); {
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
	if s.live != nil {
		return nil // it came since the rows were read, or is about to be marked dead
	}
	if _, buried := s.tombs[rec.Slot]; buried || s.row.State == index.StateDoomed {
		return nil
	}
	if ok, err := s.file.HasData(rec.Location); err != nil || !ok {
		return err
	}
	if s.row.State == index.StateFailed && rec.Slot >= s.row.Watermark {
		return nil // nothing above the watermark of a failed segment counts
	}
	if !s.rep.GoodStop {
		s.rep.Pending++ // to be added above the watermark, and below it to be marked dead, which did not reach the disk
		return nil
	}
	where := "the index does not know the blob"
	switch e, err := s.ix.Get(rec.Hash); {
	case err == nil:
		where = fmt.Sprintf("the index has the blob at %d:%d", e.Segment, e.Slot)
	case !errors.Is(err, blob.ErrNotFound):
		s.fatal = err
		return err
	}
	s.findAt(SlotWithoutRow, rec.Hash, rec.Location, "%s, and the slot (sequence %d) is not marked dead", where, rec.Seq)
	return nil
}

// checkPayload reads a live record as far as was asked for.
func (s *segment) checkPayload(ctx context.Context, rec segments.Record) error {
	if !s.o.Payloads && !s.o.Hashes {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if s.buf == nil {
		s.buf = make([]byte, blob.MaxSize)
	}
	if s.o.Limit != nil {
		if err := s.o.Limit.WaitN(ctx, int(rec.Length)); err != nil {
			return err
		}
	}
	r := row{hash: rec.Hash, offset: rec.Offset, slot: rec.Slot, length: rec.Length, crc: rec.CRC}
	s.rep.Read++
	switch err := s.file.ReadPayload(rec.Location, s.buf); {
	case errors.Is(err, blob.ErrCorrupt):
		s.fault(Payload, &r, "%v", err)
	case err != nil:
		s.fault(Unreadable, &r, "%v", err)
	case s.o.Hashes:
		if got := blob.Sum(s.buf[:rec.Length]); got != rec.Hash {
			s.fault(WrongHash, &r, "its bytes are those of %s", got)
		}
	}
	return nil
}
