package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// salvage gives rows of the old index whose slots are damaged, or cannot be read, their slots again, if the payload is
// theirs by its hash.
func (r *run) salvage(ctx context.Context, f *file, valid slotSet) error {
	for i := range r.rows[f.id] {
		x := &r.rows[f.id][i]
		e := x.entry(f.id)
		if !e.Fits(f.hdr) || valid.has(e.Slot) {
			continue
		}
		if state, err := f.seg.SlotState(e.Slot); err == nil && state == segments.SlotHalfMarked {
			continue // it was about to be marked dead
		}
		x.met = true
		rec := segments.Record{Hash: x.hash, Location: e.Location, Seq: e.Seq, Kind: e.Kind}
		why, _, err := r.prove(ctx, f, rec, true)
		if err != nil {
			return err
		}
		if why != "" {
			r.fault(rec, "its slot is damaged, and "+why, true)
			continue
		}
		valid.add(e.Slot)
		f.slots = max(f.slots, e.Slot+1)
		f.used = append(f.used, use{at: e.Offset, slot: e.Slot, length: e.Length})
		f.again = append(f.again, rec)
		k := keep(rec)
		k.known = true
		r.stand(f, k)
	}
	if len(f.again) > 0 {
		r.note("take %d slots of segment %d, which are damaged or cannot be read, from the old index", len(f.again), f.id)
	}
	return nil
}

// sound says whether a row of the old index names a payload in the file that is what it says. It is asked of a file
// of whose header and table nothing is left.
func (r *run) sound(s *segments.Segment, id segments.ID) bool {
	hdr, err := s.Header()
	if err != nil {
		return false
	}
	buf := make([]byte, blob.MaxSize)
	return slices.ContainsFunc(r.rows[id], func(x row) bool {
		e := x.entry(id)
		return e.Fits(hdr) && s.ReadPayload(e.Location, buf) == nil && blob.Sum(buf[:e.Length]) == x.hash
	})
}

// newIDs gives each file whose records go to a new one an id for that, from the ceiling on, and returns the new ceiling.
func (r *run) newIDs(ceiling uint64) uint64 {
	for _, f := range r.files {
		if f.seg != nil && f.lost != nil {
			f.newID = segments.ID(ceiling)
			ceiling++
		}
	}
	return ceiling
}

// evacuate copies the records of files that the disk gives in part only to new ones. Nothing is written to the old
// files: the next read of what is missing might work, so they go to quarantine as they are.
func (r *run) evacuate() error {
	for i, f := range r.files {
		if f.seg == nil || f.lost == nil {
			continue
		}
		fresh := &file{path: r.mnt.SegmentPath(f.newID), id: f.newID}
		stay := f.byOffset()
		if len(stay) > 0 {
			if err := r.copyTo(fresh, f, stay); err != nil {
				return fmt.Errorf("copy what can be read of %s to %s: %w", f.path, fresh.path, err)
			}
		}
		err := f.seg.Close()
		if err == nil {
			err = r.mnt.Quarantine(f.path, f.lost.Error())
		}
		if err != nil {
			return err
		}
		f.seg = nil
		r.files[i] = fresh
	}
	return nil
}

// copyTo writes a segment of the records that stand in another.
func (r *run) copyTo(fresh, old *file, stay []*kept) error {
	fresh.hdr = segments.Header{Mount: r.super.ID, ID: fresh.id, Capacity: old.hdr.Capacity, Created: old.hdr.Created}
	s, err := segments.Create(r.fsys, fresh.path, fresh.hdr)
	if err != nil {
		return err
	}
	fresh.seg, fresh.keep = s, old.keep // in the same places, which is how the order names them
	buf := make([]byte, blob.MaxSize)
	for _, k := range stay {
		rec := k.record(old.id)
		p := buf[:rec.Length]
		if err := old.seg.ReadPayload(rec.Location, p); err != nil {
			return err
		}
		var ok bool
		if rec.Location, ok = s.Reserve(rec.Length); !ok {
			return fmt.Errorf("no room for %s", rec.Hash.Short())
		}
		rec.CRC = k.crc
		if err := s.Write(rec, p); err != nil {
			return err
		}
		k.slot, k.offset = rec.Slot, rec.Offset
		fresh.slots = rec.Slot + 1
	}
	s.Seal()
	return errors.Join(s.GiveBack(s.Tail()), s.Sync()) // before the old file leaves
}
