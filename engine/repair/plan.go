package repair

import (
	"bytes"
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
	keep  []*kept
	dead  []uint32          // slots to mark
	erase []uint32          // slots that must not count at all
	bad   []segments.Record // payloads of which a copy is put aside
	all   []segments.Record // every valid slot, while it is scanned
	used  []use             // of them, by offset, until stray bytes are found
	again []segments.Record // slots to write again, as the index has them
	blank []segments.Extent // bytes to clear that nobody needs
}

// kept is a record that stands.
type kept struct {
	rec segments.Record
	seq uint64 // its place in the order of eviction
	f   *file
	out bool // another record of its blob, or of its extent, took its place
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
	valid := map[uint32]struct{}{}
	unread, err := f.seg.ScanAround(func(rec segments.Record) error {
		valid[rec.Slot] = struct{}{}
		f.slots = max(f.slots, rec.Slot+1)
		r.maxSeq = max(r.maxSeq, rec.Seq)
		f.all = append(f.all, rec)
		if rec.Dead {
			if e, ok := r.old[rec.Hash]; ok && e.Location == rec.Location {
				r.fault(rec, "its slot is marked dead")
			}
			return nil
		}
		return r.judge(ctx, f, rec)
	})
	if err == nil {
		err = r.salvage(ctx, f, valid)
	}
	if err != nil {
		return fmt.Errorf("nothing was changed; copy the disk, or move %s away: %w", f.path, err)
	}
	if len(unread) > 0 && f.lost == nil {
		f.lost = fmt.Errorf("%d bytes of its table, from %d on: %w", unread[0].To-unread[0].From, unread[0].From, syscall.EIO)
	}
	r.separate(f)
	return nil
}

// judge decides whether a record stands, by what the old index says, and by what is on the disk.
func (r *run) judge(ctx context.Context, f *file, rec segments.Record) error {
	e, known := r.old[rec.Hash]
	known = known && e.Location == rec.Location
	if !known && !r.mayAdopt(rec) {
		f.dead = append(f.dead, rec.Slot) // it was deleted, and the mark did not reach the disk
		return nil
	}
	why, whole, err := r.prove(ctx, f, rec, !r.o.Fast)
	if err != nil {
		return err
	}
	if why != "" {
		r.fault(rec, why)
		f.dead = append(f.dead, rec.Slot)
		if whole {
			f.bad = append(f.bad, rec)
		}
		return nil
	}
	k := &kept{rec: rec, seq: rec.Seq, f: f}
	if known {
		k.seq = e.Seq
	}
	r.maxSeq = max(r.maxSeq, k.seq)
	f.keep = append(f.keep, k)
	return nil
}

// fault notes why a record does not stand.
func (r *run) fault(rec segments.Record, why string) {
	r.why[rec.Hash] = Lost{Hash: rec.Hash, Place: rec.Location, Reason: why}
}

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
			return "", false, err
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

// settle decides between records of one blob and of one extent, and says what is lost.
func (r *run) settle() {
	r.chooseBest()
	for _, k := range r.best {
		r.rep.Blobs++
		if _, ok := r.old[k.rec.Hash]; !ok {
			r.rep.Adopted++
		}
	}
	for h, e := range r.old {
		if _, faulty := r.why[h]; !faulty && !r.stands(h) {
			r.rep.Lost = append(r.rep.Lost, Lost{Hash: h, Place: e.Location, Reason: "there is no such record"})
		}
	}
	for h, l := range r.why {
		if !r.stands(h) {
			r.rep.Lost = append(r.rep.Lost, l)
		}
	}
	slices.SortFunc(r.rep.Lost, func(a, b Lost) int {
		return cmp.Or(cmp.Compare(a.Place.Segment, b.Place.Segment), cmp.Compare(a.Place.Slot, b.Place.Slot), slices.Compare(a.Hash[:], b.Hash[:]))
	})
	r.old, r.rows = nil, nil // the memory is needed for the new index
	for _, f := range r.files {
		for _, rec := range f.bad {
			r.note("copy the payload at %d:%d (%d bytes at %d) to quarantine: it is not that of %s", rec.Segment, rec.Slot, rec.Length, rec.Offset, rec.Hash)
		}
	}
}

// chooseBest keeps the youngest record of each blob. It sorts, because another map of all blobs would take five times the
// memory.
func (r *run) chooseBest() {
	var all []*kept
	for _, f := range r.files {
		for _, k := range f.keep {
			if !k.out {
				all = append(all, k)
			}
		}
	}
	slices.SortFunc(all, func(a, b *kept) int {
		return cmp.Or(bytes.Compare(a.rec.Hash[:], b.rec.Hash[:]), cmp.Compare(b.rec.Seq, a.rec.Seq),
			cmp.Compare(a.rec.Segment, b.rec.Segment), cmp.Compare(a.rec.Slot, b.rec.Slot))
	})
	r.best = all[:0]
	for _, k := range all {
		if n := len(r.best); n > 0 && r.best[n-1].rec.Hash == k.rec.Hash {
			r.drop(k)
			continue
		}
		r.best = append(r.best, k)
	}
}

// stands says whether a record of the blob does.
func (r *run) stands(h blob.Hash) bool {
	_, found := slices.BinarySearchFunc(r.best, h, func(k *kept, h blob.Hash) int { return bytes.Compare(k.rec.Hash[:], h[:]) })
	return found
}

func (r *run) drop(k *kept) {
	k.out = true
	k.f.dead = append(k.f.dead, k.rec.Slot)
}

// separate erases slots whose extents overlap that of a record that stands.
func (r *run) separate(f *file) {
	slices.SortFunc(f.all, func(a, b segments.Record) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Slot, b.Slot))
	})
	standing := map[uint32]*kept{}
	for _, k := range f.keep {
		standing[k.rec.Slot] = k
	}
	var last *segments.Record // the one that ends last so far, of those that count
	for i := range f.all {
		rec := &f.all[i]
		if last == nil || rec.Offset >= last.Offset+segments.Blocks(last.Length) {
			last = rec
			continue
		}
		one, other := standing[last.Slot], standing[rec.Slot]
		switch {
		case one == nil && other == nil:
			if rec.Offset+segments.Blocks(rec.Length) <= last.Offset+segments.Blocks(last.Length) {
				continue
			}
		case other != nil && one == nil:
			f.erase = append(f.erase, last.Slot)
		default:
			f.erase = append(f.erase, rec.Slot)
			if other != nil {
				other.out = true
				r.fault(*rec, fmt.Sprintf("its bytes are within those of slot %d", last.Slot))
				f.bad = append(f.bad, *rec)
			}
			continue
		}
		last = rec
	}
	for _, rec := range f.all {
		f.used = append(f.used, use{at: rec.Offset, slot: rec.Slot, length: rec.Length, dead: rec.Dead})
	}
	f.all = nil
	if len(f.erase) > 0 {
		r.note("erase %d slots of segment %d whose extents overlap others", len(f.erase), f.id)
	}
}
