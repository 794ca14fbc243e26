package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// leftover is a segment that the last run did not finish.
type leftover struct {
	seg    *seg
	from   uint32 // its watermark: slots below are durable and indexed
	orphan bool   // the index has no row of it

	unproven error // why rows of it above the mark may not be true, if its sync failed
}

// loadSegments joins the rows of the index with the files of the mount, and says what is left over. It opens no segment.
func (e *Engine) loadSegments(clean bool) ([]leftover, error) {
	rows, err := e.ix.Segments()
	if err != nil {
		return nil, err
	}
	files, err := e.segmentFiles()
	if err != nil {
		return nil, err
	}
	var left []leftover
	id := e.mnt.Superblock().ID
	for _, row := range rows {
		if _, ok := files[row.ID]; !ok {
			e.lost = append(e.lost, row)
			continue
		}
		delete(files, row.ID)
		s := e.newSeg(segments.At(e.o.FS, e.mnt.SegmentPath(row.ID), id, row.ID), row)
		if row.State == index.StateFailed {
			s.trust.Store(row.Watermark)
		}
		e.adopt(s, clean)
		if !clean || row.State == index.StateDoomed || row.Watermark < row.Slots || row.Slots == 0 || row.LiveBlobs == 0 {
			left = append(left, leftover{seg: s, from: row.Watermark})
		}
	}
	for fileID := range files {
		row := index.SegmentRow{ID: fileID, State: index.StateSealed}
		s := e.newSeg(segments.At(e.o.FS, e.mnt.SegmentPath(fileID), id, fileID), row)
		e.adopt(s, false)
		left = append(left, leftover{seg: s, orphan: true})
	}
	// Oldest first: a rebuilt order follows the ids, roughly, and what was evicted first goes first.
	slices.SortFunc(left, func(a, b leftover) int { return cmp.Compare(a.seg.ID(), b.seg.ID()) })
	return left, nil
}

// adopt takes a segment over, and charges it for what its row says; after an unclean stop the file may hold more than
// that, until recovery has given it back.
func (e *Engine) adopt(s *seg, clean bool) {
	e.segs.add(s)
	e.blobs.Add(s.row.LiveBlobs)
	e.liveBytes.Add(s.row.LiveBytes)
	e.sdBytes.Add(s.row.SDBytes)
	bytes := sealedCharge(s.row)
	if s.row.Slots == 0 {
		bytes = activeCharge(s.row.Capacity)
	}
	if !clean {
		bytes = max(bytes, e.onDisk(s.Path()))
	}
	e.setCharge(s, bytes)
}

// onDisk is what a file occupies, without opening it; its length where the file system does not say.
func (e *Engine) onDisk(path string) int64 {
	info, err := e.o.FS.Stat(path)
	if err != nil {
		e.ioError("usage", err)
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// segmentFiles lists the segment files of the mount. Foreign names are left alone.
func (e *Engine) segmentFiles() (map[segments.ID]struct{}, error) {
	names, err := e.o.FS.List(e.mnt.SegmentsDir())
	if err != nil {
		return nil, fmt.Errorf("engine: list segments: %w", err)
	}
	files := make(map[segments.ID]struct{}, len(names))
	for _, name := range names {
		id, ok := mount.ParseSegmentName(name)
		if !ok {
			e.log.Warn("a foreign file lies among the segments; it is left alone", "dir", e.mnt.SegmentsDir(), "name", name)
			continue
		}
		files[id] = struct{}{}
	}
	return files, nil
}

// recoverLoop does what the last run left over, behind: everything else goes on meanwhile. since is the sequence above
// which the last run committed rows that no watermark covers.
func (e *Engine) recoverLoop(left []leftover, since uint64) {
	defer close(e.recovered)
	e.forgetSegments(e.lost)
	unproven := e.dropUnproven(left, since)
	for _, l := range left {
		l.unproven = unproven
		if !e.running() {
			return
		}
		if err := e.recoverSegment(l); err != nil {
			if errors.Is(err, errIndexFailed) || errors.Is(err, errClosed) {
				return
			}
			if !e.setAside(l.seg, err) {
				continue // it stays among what is left: nobody may take it for empty
			}
		}
		e.leftMu.Lock()
		delete(e.left, l.seg.ID())
		e.leftMu.Unlock()
		e.reconsider(l.seg)
	}
	if len(left) > 0 {
		_ = e.flush()
		e.log.Info("what the last run left over is done", "dir", e.o.Dir, "segments", len(left), "blobs", e.blobs.Load())
	}
}

// forgetSegments drops the rows of segments whose files are gone, and those of their blobs.
func (e *Engine) forgetSegments(lost []index.SegmentRow) {
	if len(lost) == 0 {
		return
	}
	ids := map[segments.ID]struct{}{}
	var blobs int64
	for _, row := range lost {
		ids[row.ID] = struct{}{}
		blobs += row.LiveBlobs
	}
	if blobs > 0 {
		e.log.Error("segments are missing; their blobs will be fetched again when asked for",
			"dir", e.mnt.SegmentsDir(), "segments", len(lost), "blobs", blobs)
		e.dropWhere(func(ent index.Entry) bool { _, ok := ids[ent.Segment]; return ok })
	}
	_ = e.commit(&change{apply: func(g *group) {
		for id := range ids {
			g.batch.DeleteSegment(id)
		}
	}})
}

// dropUnproven removes rows above the watermarks whose slots did not reach the disk: the index can be ahead of them,
// because its log may be synced by others. An error says that it did not see to all of them. That matters for segments
// whose sync failed; reads prove every other record anyway.
func (e *Engine) dropUnproven(left []leftover, since uint64) error {
	from := map[segments.ID]leftover{}
	for _, l := range left {
		if !l.orphan {
			from[l.seg.ID()] = l
		}
	}
	cur, err := e.ix.Cursor(since)
	if err != nil {
		return e.indexError(err)
	}
	defer cur.Close()
	var missed error
	var doubtful []index.OrderRow
	for row, ok := cur.Next(); ok && e.running(); row, ok = cur.Next() {
		l, known := from[row.Segment]
		if !known || row.Slot < l.from {
			continue
		}
		rec, err := l.seg.ReadSlot(row.Slot)
		stands := false
		if err == nil && !rec.Dead {
			stands, err = e.stands(l.seg, rec)
		}
		switch {
		case err != nil && !errors.Is(err, segments.ErrBadSlot):
			e.ioError("read", err) // whoever reads the record will find out
			missed = cmp.Or(missed, err)
		case !stands:
			doubtful = append(doubtful, row)
		}
	}
	if err := cur.Err(); err != nil {
		missed = cmp.Or(missed, e.indexError(err))
	}
	if len(doubtful) > 0 {
		e.dropRows(doubtful)
	}
	return missed
}

// stands says whether a row above the watermark may stay. Of a segment whose sync failed the page cache proves nothing:
// it may outlive the process, with bytes that never arrived.
// An error says that the device could not be asked now.
func (e *Engine) stands(s *seg, rec segments.Record) (bool, error) {
	if e.rowOf(s).State != index.StateFailed {
		return e.whole(s, rec), nil
	}
	err := s.ProveOnDevice(rec.Hash, rec.Location)
	switch {
	case err == nil:
		return true, nil
	case ofTheProcess(err):
		return false, err
	case !errors.Is(err, blob.ErrCorrupt) && !errors.Is(err, segments.ErrBadSlot):
		e.ioError("read", err)
	}
	return false, nil
}

// whole says whether a record's payload is what its slot says. In a rebuild from segments alone that is left to the
// first read of each record: a rebuild reads tables, not payloads. So is a payload that cannot be read now.
func (e *Engine) whole(s *seg, rec segments.Record) bool {
	ok, err := s.HasData(rec.Location)
	if err == nil && (!ok || e.rebuilding) {
		return ok
	}
	if err == nil {
		if e.proof == nil {
			e.proof = make([]byte, 256<<10)
		}
		err = s.Verify(rec.Location, e.proof)
	}
	if err != nil && !errors.Is(err, blob.ErrCorrupt) {
		e.ioError("read", err)
		return true
	}
	return err == nil
}

// dropRows removes the blobs that order rows belong to whose slots cannot be read.
func (e *Engine) dropRows(rows []index.OrderRow) {
	bySeq := map[uint64]struct{}{}
	for _, r := range rows {
		bySeq[r.Seq] = struct{}{}
	}
	e.dropWhere(func(ent index.Entry) bool { _, ok := bySeq[ent.Seq]; return ok })
}

// dropWhere removes the blobs whose entries are unwanted. It passes over the whole index: only damage leads here.
func (e *Engine) dropWhere(unwanted func(index.Entry) bool) {
	var found []blob.Hash
	err := e.ix.All(func(h blob.Hash, ent index.Entry) error {
		if unwanted(ent) {
			found = append(found, h)
		}
		if !e.running() {
			return errClosed
		}
		return nil
	})
	if err != nil {
		return // what is left is found by whoever reads it
	}
	for some := range slices.Chunk(found, maxGroup) {
		_ = e.commit(&change{sync: true, apply: func(g *group) {
			for _, h := range some {
				g.remove(h, unwanted)
			}
		}})
	}
}

// recoverSegment seals one segment at its last valid record: valid slots above the watermark that the index lacks are
// added, the tail and whatever no record covers are given back, and the segment is synced before the watermark follows.
func (e *Engine) recoverSegment(l leftover) error {
	s := l.seg
	s.loose.Store(true)
	row := e.rowOf(s)
	if row.State == index.StateDoomed {
		return nil // the reclaimer unlinks it
	}
	hdr, err := s.Header()
	if err != nil {
		return err
	}
	if row.State == index.StateSealed && row.Slots > 0 && row.Watermark == row.Slots {
		return e.sweep(s) // nothing was written to it since it was sealed
	}
	if row.State == index.StateFailed && l.unproven != nil {
		return fmt.Errorf("engine: not all of segment %d could be proven: %w", s.ID(), l.unproven)
	}
	slots, tail, err := e.readd(l, hdr, row)
	if err != nil {
		return err
	}
	if err := s.syncs.run(s.Sync); err != nil {
		// Nothing here was acknowledged by this run, and what was by the last one may well be there: the next start looks.
		// Its pages prove nothing from here on.
		e.ioError("sync", err)
		s.trust.Store(row.Watermark)
		_ = e.commit(&change{sync: true, apply: func(g *group) {
			g.setRow(s, func(r *index.SegmentRow) { r.State = index.StateFailed })
		}})
		return err
	}
	err = e.commit(&change{sync: true, apply: func(g *group) {
		g.setRow(s, func(r *index.SegmentRow) {
			r.Capacity, r.Slots = hdr.Capacity, slots
			r.State, r.Watermark = index.StateSealed, slots
		})
		g.batch.ClearTombstones(s.ID(), slots)
	}})
	if err != nil {
		return err
	}
	// What the index has of a failed segment was durable or is proven by now, and no slot of it was added.
	s.trust.Store(math.MaxUint32)
	if err := s.GiveBack(tail); err != nil {
		return err
	}
	return e.sweep(s)
}

// readd adds the records above the watermark that the index lacks, marks those dead that do not count, and tells where
// the segment ends.
func (e *Engine) readd(l leftover, hdr segments.Header, row index.SegmentRow) (slots uint32, tail int64, err error) {
	s := l.seg
	tombs, err := e.ix.Tombstones(s.ID())
	if err != nil {
		return 0, 0, e.indexError(err)
	}
	slots, tail = row.Slots, hdr.PayloadAt()
	var found []segments.Record
	torn, err := s.Scan(0, func(rec segments.Record) error {
		slots = max(slots, rec.Slot+1)
		tail = max(tail, rec.Offset+segments.Blocks(rec.Length))
		if rec.Slot < l.from || rec.Dead || row.State == index.StateFailed {
			return nil
		}
		if !e.rebuilding { // then it has next to nothing, and addFound asks it anyway
			if ent, err := e.ix.Get(rec.Hash); err == nil && ent.Location == rec.Location {
				return nil // dropUnproven has seen to it
			}
		}
		if _, buried := tombs[rec.Slot]; buried || !e.whole(s, rec) {
			return s.MarkDead(rec.Slot)
		}
		if found = append(found, rec); len(found) < maxGroup {
			return nil
		}
		err := e.addFound(s, found)
		found = found[:0]
		return err
	})
	if err == nil {
		err = e.addFound(s, found)
	}
	if err == nil && torn > 0 {
		err = s.EraseTorn(l.from, hdr.Slots()) // so that the checker can tell them from damage
	}
	return slots, tail, err
}

func (e *Engine) addFound(s *seg, found []segments.Record) error {
	if len(found) == 0 {
		return nil
	}
	var lost []segments.Record // to a record of the same blob
	var replaced []removed
	err := e.commit(&change{apply: func(g *group) {
		for _, rec := range found {
			ent, ok := g.get(rec.Hash)
			if ok && ent.Location != rec.Location {
				if !e.outranks(rec, ent) {
					lost = append(lost, rec)
					continue
				}
				r, _ := g.remove(rec.Hash, nil)
				replaced, ok = append(replaced, r), false
			}
			if !ok && g.put(s, rec) {
				e.stats.recoveredBlobs.Add(1)
			}
		}
	}})
	if err != nil {
		return err
	}
	for _, r := range replaced {
		e.bury(r)
	}
	for _, rec := range lost {
		if err := s.MarkDead(rec.Slot); err != nil {
			return err
		}
	}
	return nil
}

// outranks says whether a record that was found takes the place of the one that the index has of the same blob: of two
// the higher sequence wins, and one that is not there any more has none. That the index has another is rare: it was
// rebuilt, or is an older copy.
func (e *Engine) outranks(rec segments.Record, ent index.Entry) bool {
	s := e.segs.get(ent.Segment)
	if s == nil || s.Dead(ent.Slot) {
		return true
	}
	old, err := s.ReadSlot(ent.Slot)
	if err != nil && !errors.Is(err, segments.ErrBadSlot) {
		return false // nothing is known of it: let the first read find out
	}
	return err != nil || old.Dead || old.Hash != rec.Hash || old.Seq < rec.Seq
}

// sweep gives back every block of a sealed segment that no indexed record covers: what a crash left between the commit
// of a removal and its punch, torn records, the preallocated tail.
func (e *Engine) sweep(s *seg) error {
	have, err := s.Allocated()
	if err != nil {
		return err
	}
	if have > sealedCharge(e.rowOf(s)) { // or the file system counts its own maps: then the look costs a table
		if err := e.punchUncovered(s); err != nil {
			return err
		}
		if have, err = s.Allocated(); err != nil {
			return err
		}
	}
	e.setCharge(s, max(have, sealedCharge(e.rowOf(s))))
	return nil
}

// punchUncovered punches the gaps between the records that are live, or that died in this process: those are the
// reclaimer's, and may be pinned.
func (e *Engine) punchUncovered(s *seg) error {
	hdr, err := s.Header()
	if err != nil {
		return err
	}
	covered, agree, err := e.coveredBySlots(s)
	if err == nil && !agree {
		covered, err = e.coveredByIndex(s)
	}
	if err != nil {
		return err
	}
	at := hdr.PayloadAt()
	end, err := s.Size()
	if err != nil {
		return err
	}
	for _, x := range append(covered, span{end, end}) {
		if x.from > at {
			if err := s.Punch(at, x.from-at); err != nil {
				return err
			}
		}
		at = max(at, x.to)
	}
	return nil
}

// coveredBySlots gives the extents of the slots that are not dead, and whether the index knows exactly those records. It
// does if it has as many: each record that it has in a sealed segment has such a slot, and none is added. Asking it for
// each would cost a hundred times what the table costs, after every crash.
func (e *Engine) coveredBySlots(s *seg) (covered []span, agree bool, err error) {
	row := e.rowOf(s) // before the slots: records only ever go
	var blobs, bytes int64
	var c cover
	_, err = s.Scan(0, func(rec segments.Record) error {
		if !rec.Dead {
			blobs++
			bytes += segments.Blocks(rec.Length)
		}
		if !rec.Dead || s.Dead(rec.Slot) || s.Pinned(rec.Slot) {
			c.add(rec.Location)
		}
		return nil
	})
	return c.spans(), blobs == row.LiveBlobs && bytes == row.LiveBytes, err
}

// coveredByIndex asks the index about every slot, and marks those dead that it does not know: their dead mark was lost.
func (e *Engine) coveredByIndex(s *seg) ([]span, error) {
	var c cover
	var strays []uint32
	_, err := s.Scan(0, func(rec segments.Record) error {
		ent, err := e.ix.Get(rec.Hash)
		switch {
		case err != nil && !errors.Is(err, blob.ErrNotFound):
			return e.indexError(err)
		case err == nil && ent.Location == rec.Location || s.Dead(rec.Slot) || s.Pinned(rec.Slot):
			c.add(rec.Location)
		case !rec.Dead:
			strays = append(strays, rec.Slot)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, slot := range strays {
		if err := s.MarkDead(slot); err != nil {
			return nil, err
		}
	}
	return c.spans(), nil
}

// unfinished says whether a segment of the last run is yet to be recovered: recovery goes on, was interrupted, or could
// not read it.
func (e *Engine) unfinished() bool {
	e.leftMu.Lock()
	defer e.leftMu.Unlock()
	return len(e.left) > 0
}

// recovering says whether work of the last run is still under way.
func (e *Engine) recovering() bool {
	select {
	case <-e.recovered:
		return false
	default:
		return true
	}
}

// recoveringSeg says whether this segment is part of it.
func (e *Engine) recoveringSeg(s *seg) bool {
	e.leftMu.Lock()
	defer e.leftMu.Unlock()
	_, ok := e.left[s.ID()]
	return ok
}

// WaitRecovered waits until what the last run left over is done.
func (e *Engine) WaitRecovered(ctx context.Context) error {
	select {
	case <-e.recovered:
		return nil
	case <-e.stopping:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
