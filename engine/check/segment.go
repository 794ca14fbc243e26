package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// segment is the check of one segment, by its file, its row, and the blob rows that name it.
type segment struct {
	*checker
	id    segments.ID
	row   index.SegmentRow
	known bool  // it has a row
	rows  []row // by slot
	next  int   // the first of rows that the scan has not reached

	file  *segments.Segment
	users atomic.Int32 // of file: the scan, and each piece of payloads
	hdr   segments.Header
	tombs map[uint32]struct{}
	spans []span
	live  []*row // payloads that are to be there
	data  span   // a range that holds data; the last one that was looked at
	need  int64  // bytes that the blob rows need, in whole blocks
	fatal error  // of the index, amid a scan
}

// isDamage says whether an error of the index is about what is on the disk.
func isDamage(err error) bool { return errors.Is(err, index.ErrCorrupt) || errors.Is(err, syscall.EIO) }

// check looks at everything. An error ends the run.
func (s *segment) check(ctx context.Context, there bool) error {
	if s.id == 0 {
		s.find(SegmentMissing, 0, "%d blob rows name no segment", len(s.rows))
		return nil
	}
	s.checkTotals()
	if !there {
		return s.missing(ctx)
	}
	switch {
	case s.known || len(s.rows) > 0 || s.lost || s.served != nil:
	case s.rep.GoodStop:
		s.find(SegmentUnknown, s.id, "the index has no row of it")
	default:
		s.pending()
	}
	s.file = segments.At(s.fsys, s.mnt.SegmentPath(s.id), s.super.ID, s.id)
	s.hold()
	defer s.letGo()
	var err error
	if s.hdr, err = s.file.Header(); err != nil {
		return s.unopened(ctx, err)
	}
	if err := s.readTombstones(); err != nil {
		return err
	}
	s.checkRow()
	whole, err := s.checkSlots(ctx)
	if whole {
		s.checkOverlaps()
		s.checkLeak()
		if s.served == nil {
			s.checkStrays()
		}
	}
	s.spans = nil
	if err != nil {
		return err
	}
	if s.lost {
		s.expect(s.live)
	}
	if !s.o.readsPayloads() {
		s.passed(int64(len(s.live)))
		return nil
	}
	if s.served == nil { // what a process that was killed left in the page cache is to be read from the device, as all else
		if err := s.file.Sync(); err != nil {
			s.find(Unreadable, s.id, "%v", err)
		}
	}
	return s.payloads.send(s)
}

// hold keeps the file open until letGo.
func (s *segment) hold() { s.users.Add(1) }

func (s *segment) letGo() {
	if s.users.Add(-1) == 0 {
		_ = s.file.Close() // nothing was written to it
	}
}

// missing judges a segment without a file. While a segment is unlinked its row outlives the file for a moment.
func (s *segment) missing(ctx context.Context) error {
	switch {
	case len(s.rows) > 0:
		return s.suspect(ctx, s.whole(SegmentMissing, "%d blobs are said to be in it", len(s.rows)))
	case s.rep.GoodStop && s.row.State != index.StateDoomed:
		s.find(SegmentMissing, s.id, "its row says %s, with no blobs", s.row.State)
	default:
		s.pending()
	}
	return nil
}

// unopened judges a file that is no segment of this mount, or cannot be read. A power cut may leave a new file whose
// header was not synced yet; nobody counts on that one.
func (s *segment) unopened(ctx context.Context, err error) error {
	if !s.rep.GoodStop && !s.lost && !s.known && len(s.rows) == 0 && errors.Is(err, segments.ErrBadHeader) {
		return nil // it is pending
	}
	if errors.Is(err, segments.ErrNewerVersion) {
		return s.suspect(ctx, Finding{
			Kind: SegmentDamaged, Segment: s.id, Slot: NoSlot,
			Detail: fmt.Sprintf("%d blobs are said to be in it: %v", len(s.rows), err),
			Repair: "repair leaves the mount alone: run the version of prism that wrote it",
		})
	}
	kind := Unreadable
	if errors.Is(err, segments.ErrBadHeader) || !s.isRegular() {
		kind = SegmentDamaged
	}
	return s.suspect(ctx, s.whole(kind, "%d blobs are said to be in it: %v", len(s.rows), err))
}

func (s *segment) isRegular() bool {
	info, err := s.fsys.Stat(s.file.Path())
	return err == nil && info.Mode()&fs.ModeType == 0
}

func (s *segment) readTombstones() error {
	if s.lost || s.served != nil {
		return nil
	}
	var err error
	if s.tombs, err = s.ix.Tombstones(s.id); isDamage(err) {
		s.find(Index, s.id, "%v", err)
		return nil
	}
	return err
}

// checkTotals adds the blob rows up. They and the segment row are always written in one batch.
func (s *segment) checkTotals() {
	var sd int64
	for i := range s.rows {
		n := segments.Blocks(s.rows[i].length)
		s.need += n
		if s.rows[i].kind == blob.KindSD {
			sd += n
		}
	}
	r := s.row
	if !s.known && len(s.rows) > 0 {
		s.find(SegmentRow, s.id, "%d blob rows name it, and it has no row", len(s.rows))
		return
	}
	if r.LiveBlobs != int64(len(s.rows)) || r.LiveBytes != s.need || r.SDBytes != sd {
		s.find(Totals, s.id, "%d blobs, %d bytes, %d of SD blobs by its row; %d, %d, %d by its blob rows",
			r.LiveBlobs, r.LiveBytes, r.SDBytes, len(s.rows), s.need, sd)
	}
}

// checkRow holds the row to the header.
func (s *segment) checkRow() {
	if !s.known {
		return
	}
	r, all := s.row, s.hdr.Slots()
	switch {
	case r.Capacity != s.hdr.Capacity && (r.Capacity != 0 || s.rep.GoodStop): // 0: it was adopted, and not yet looked at
		s.find(SegmentRow, s.id, "a capacity of %d bytes by its row, %d by its header", r.Capacity, s.hdr.Capacity)
	case r.Slots > all || r.Watermark > all:
		s.find(SegmentRow, s.id, "%d slots and a watermark of %d by its row, and a table of %d", r.Slots, r.Watermark, all)
	case r.State != index.StateActive && r.Slots > 0 && r.Watermark > r.Slots:
		s.find(SegmentRow, s.id, "a watermark of %d above its %d slots", r.Watermark, r.Slots)
	case r.State == index.StateDoomed && len(s.rows) > 0:
		s.find(SegmentRow, s.id, "doomed, with %d blobs", len(s.rows))
	case s.rep.GoodStop && r.State == index.StateActive:
		s.find(SegmentRow, s.id, "active, although the last run ended in good order")
	case s.rep.GoodStop && r.State == index.StateSealed && r.Watermark < r.Slots:
		s.find(SegmentRow, s.id, "a watermark of %d below its %d slots, although the last run ended in good order", r.Watermark, r.Slots)
	}
}
