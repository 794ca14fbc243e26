package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// file is one thing in the folder of segments.
type file struct {
	path  string
	id    segments.ID // by its header
	hdr   segments.Header
	seg   *segments.Segment // nil: it goes to quarantine
	why   string            // it goes there, or its header is made anew
	head  []byte            // the header as it is, if that is damaged
	lost  error             // the disk does not give its header, or a part of its table: what it does give goes to a new file,
	newID segments.ID       // with this id

	slots uint32
	keep  []kept
	dead  []uint32          // slots to mark
	erase []uint32          // slots that must not count at all
	bad   []badPayload      // of which a copy is put aside
	used  []use             // every valid slot, while it is scanned; then those that are not kept, until stray bytes are found
	again []segments.Record // slots to write again, as the index has them
	blank []segments.Extent // bytes to clear that nobody needs
}

// badPayload is one that is not what its slot says.
type badPayload struct {
	rec segments.Record
	why string
}

// listFiles finds what the files are, by their headers, and which mount they belong to.
func (r *run) listFiles() error {
	dir := r.mnt.SegmentsDir()
	names, err := r.fsys.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	votes := map[[16]byte]int{}
	for _, name := range names {
		f := &file{path: filepath.Join(dir, name)}
		if err := r.readHeader(f); err != nil {
			return err
		}
		if f.why == "" {
			votes[f.hdr.Mount]++
		}
		r.files = append(r.files, f)
	}
	if r.superDamage != nil {
		r.newSuperblock(votes)
	}
	r.place()
	return nil
}

// readHeader reads the header of a file; one that is none says why.
func (r *run) readHeader(f *file) error {
	info, err := r.fsys.Stat(f.path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeType != 0 {
		f.why = "it is no file"
		return nil
	}
	in, err := r.fsys.Open(f.path, false)
	if err != nil {
		return err
	}
	defer in.Close()
	b := make([]byte, min(info.Size(), segments.HeaderSize))
	if _, err := in.ReadAt(b, 0); errors.Is(err, syscall.EIO) {
		f.why, f.head, f.lost = err.Error(), []byte{}, err
		return nil
	} else if err != nil && err != io.EOF {
		return fmt.Errorf("the header of %s cannot be read, nothing was changed: %w", f.path, err)
	}
	f.hdr, err = segments.ParseHeader(b)
	if errors.Is(err, segments.ErrNewerVersion) {
		return fmt.Errorf("%s: %w; nothing was changed: run that version", f.path, err)
	}
	if err != nil {
		f.why, f.head = err.Error(), b
	}
	f.id = f.hdr.ID
	return nil
}

// newSuperblock makes one for the mount that most segments name.
func (r *run) newSuperblock(votes map[[16]byte]int) {
	r.super = mount.Superblock{IndexFormat: uint32(index.FormatVersion)}
	most := 0
	for id, n := range votes {
		if n > most || n == most && slices.Compare(id[:], r.super.ID[:]) < 0 {
			r.super.ID, most = id, n
		}
	}
	for _, f := range r.files {
		if f.why == "" && f.hdr.Mount == r.super.ID {
			r.super.SegmentSize = max(r.super.SegmentSize, f.hdr.Capacity)
		}
	}
	r.note("make a new superblock from %d segments: %v", most, r.superDamage)
}

// place gives each file of this mount the name that its header says; the rest goes to quarantine. Of two files of one
// segment the one under the right name stays.
func (r *run) place() {
	slices.SortStableFunc(r.files, func(a, b *file) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(r.misnamed(a), r.misnamed(b)))
	})
	taken := map[segments.ID]bool{}
	for _, f := range r.files {
		switch {
		case f.head != nil:
			continue // see restore
		case f.why != "":
		case f.hdr.Mount != r.super.ID:
			f.why = fmt.Sprintf("it is of another mount, %x", f.hdr.Mount)
		case taken[f.id]:
			f.why = "it is a second copy of a segment"
		default:
			taken[f.id] = true
			f.seg = segments.At(r.fsys, f.path, r.super.ID, f.id)
			if r.misnamed(f) > 0 {
				r.note("rename %s to %s, as its header says", f.path, mount.SegmentName(f.id))
			}
			continue
		}
		r.note("move %s to quarantine: %s", f.path, f.why)
	}
	for _, f := range r.files {
		if f.head != nil {
			r.restore(f, taken)
		}
	}
}

// restore gives a file with a damaged header the one that it must have had, if valid slots say so: they hold for one
// mount and one segment only.
func (r *run) restore(f *file, taken map[segments.ID]bool) {
	id, named := mount.ParseSegmentName(filepath.Base(f.path))
	size := cmp.Or(r.oldSegs[id].Capacity, r.super.SegmentSize)
	if named && !taken[id] && size > 0 && size%segments.BlockSize == 0 {
		h := segments.Header{Mount: r.super.ID, ID: id, Capacity: size}
		s := segments.Assume(r.fsys, f.path, h)
		valid := 0
		_, err := s.ScanAround(func(segments.Record) error { valid++; return nil })
		if err == nil && (valid > 0 || r.sound(s, id)) {
			f.id, f.hdr, f.seg, taken[id] = id, h, s, true
			if f.lost == nil {
				r.note("write a new header of segment %d: %s", id, f.why)
			}
			return
		}
		_ = s.Close() // nothing was written to it
	}
	r.note("move %s to quarantine: %s", f.path, f.why)
}

// misnamed is 1 for a file under another name than its header says.
func (r *run) misnamed(f *file) int {
	if filepath.Base(f.path) == mount.SegmentName(f.id) {
		return 0
	}
	return 1
}

// scan judges the records of a segment.
func (r *run) scan(ctx context.Context, f *file) error {
	f.keep = make([]kept, 0, len(r.rows[f.id]))
	valid := make(slotSet, f.hdr.Slots()/64+1)
	unread, err := f.seg.ScanAround(func(rec segments.Record) error {
		valid.add(rec.Slot)
		f.slots = max(f.slots, rec.Slot+1)
		r.maxSeq = max(r.maxSeq, rec.Seq)
		old := r.rowOf(rec)
		if old != nil {
			old.met = true
		}
		f.used = append(f.used, use{at: rec.Offset, slot: rec.Slot, length: rec.Length, dead: rec.Dead, keep: notKept})
		if rec.Dead {
			if old != nil {
				r.fault(rec, "its slot is marked dead", true)
			}
			return nil
		}
		return r.judge(ctx, f, rec, old)
	})
	if err == nil {
		err = r.salvage(ctx, f, valid)
	}
	if err != nil {
		return fmt.Errorf("nothing was changed; copy the disk, or move %s away: %w", f.path, err)
	}
	r.dropRows(f.id)
	if len(unread) > 0 && f.lost == nil {
		f.lost = fmt.Errorf("%d bytes of its table, from %d on: %w", unread[0].To-unread[0].From, unread[0].From, syscall.EIO)
	}
	r.separate(f)
	return nil
}

// judge decides whether a record stands, by its row in the old index, if that has one, and by what is on the disk.
func (r *run) judge(ctx context.Context, f *file, rec segments.Record, old *row) error {
	if old == nil && !r.mayAdopt(rec) {
		f.dead = append(f.dead, rec.Slot) // it was deleted, and the mark did not reach the disk
		return nil
	}
	why, whole, err := r.prove(ctx, f, rec, !r.o.Fast)
	if err != nil {
		return err
	}
	if why != "" {
		r.fault(rec, why, old != nil)
		f.dead = append(f.dead, rec.Slot)
		if whole {
			f.bad = append(f.bad, badPayload{rec, why})
		}
		return nil
	}
	k := keep(rec)
	if old != nil {
		k.seq, k.known = old.seq, true
	}
	r.stand(f, k)
	return nil
}

// stand keeps a record, which is that of the valid slot that was met last.
func (r *run) stand(f *file, k kept) {
	r.maxSeq = max(r.maxSeq, k.seq)
	f.used[len(f.used)-1].keep = int32(len(f.keep))
	f.keep = append(f.keep, k)
}

// slotSet is a set of slots, a bit for each.
type slotSet []uint64

func (s slotSet) add(slot uint32)      { s[slot/64] |= 1 << (slot % 64) }
func (s slotSet) has(slot uint32) bool { return s[slot/64]>>(slot%64)&1 == 1 }

// mayAdopt says whether a record without a row may be one that the index lost. After a run that did not end in good
// order those below the watermark, and those with a tombstone, were deleted.
func (r *run) mayAdopt(rec segments.Record) bool {
	if r.indexDamage != nil || r.clean {
		return true
	}
	row, known := r.oldSegs[rec.Segment]
	if !known {
		return true
	}
	_, buried := r.tombs[rec.Segment][rec.Slot]
	return rec.Slot >= row.Watermark && !buried && row.State != index.StateDoomed
}

// prove says what is wrong with a record's payload, and whether there is anything to put aside.
func (r *run) prove(ctx context.Context, f *file, rec segments.Record, read bool) (why string, whole bool, err error) {
	ok, err := f.seg.HasData(rec.Location)
	switch {
	case err != nil:
		return err.Error(), false, nil
	case !ok:
		return "its payload has a hole, or the file ends before it", false, nil
	}
	if row, known := r.oldSegs[rec.Segment]; known && row.State == index.StateFailed && rec.Slot >= row.Watermark {
		if err := f.seg.ProveOnDevice(rec.Hash, rec.Location); err != nil {
			return "a sync of its segment failed: " + err.Error(), false, nil
		}
	}
	if !read {
		return "", false, nil
	}
	if r.o.Limit != nil {
		if err := r.o.Limit.WaitN(ctx, int(rec.Length)); err != nil {
			return "", false, cmp.Or(context.Cause(ctx), err)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return "", false, err
	}
	if r.buf == nil {
		r.buf = make([]byte, blob.MaxSize)
	}
	err = f.seg.ReadPayload(rec.Location, r.buf)
	if err != nil {
		return err.Error(), errors.Is(err, blob.ErrCorrupt), nil
	}
	if got := blob.Sum(r.buf[:rec.Length]); got != rec.Hash {
		return fmt.Sprintf("its bytes are those of %s", got), true, nil
	}
	return "", false, nil
}

// separate erases slots whose extents overlap that of a record that stands.
func (r *run) separate(f *file) {
	slices.SortFunc(f.used, func(a, b use) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.slot, b.slot)) })
	var last *use // the one that ends last so far, of those that count
	for i := range f.used {
		u := &f.used[i]
		if last == nil || u.at >= last.end() {
			last = u
			continue
		}
		switch {
		case last.keep == notKept && u.keep == notKept:
			if u.end() <= last.end() {
				continue
			}
		case last.keep == notKept:
			f.erase = append(f.erase, last.slot)
		default:
			f.erase = append(f.erase, u.slot)
			if u.keep != notKept {
				r.displace(f, &f.keep[u.keep], fmt.Sprintf("its bytes are within those of slot %d", last.slot))
			}
			continue
		}
		last = u
	}
	f.used = slices.Clone(slices.DeleteFunc(f.used, func(u use) bool { return u.keep != notKept }))
	if len(f.erase) > 0 {
		r.note("erase %d slots of segment %d whose extents overlap others", len(f.erase), f.id)
	}
}

// displace ends the standing of a record whose bytes are another's.
func (r *run) displace(f *file, k *kept, why string) {
	k.out = true
	rec := k.record(f.id)
	r.fault(rec, why, k.known)
	f.bad = append(f.bad, badPayload{rec, why})
}
