package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// apply writes, in the order of the package comment.
func (r *run) apply(ctx context.Context) error {
	all := r.order()
	steps := []func() error{r.mnt.MakeFolders, r.writeSuperblock, r.moveFiles, r.copyBad, r.evacuate, r.markSlots}
	for _, step := range steps {
		if err := errors.Join(context.Cause(ctx), step()); err != nil {
			return err
		}
	}
	why := "the mount was repaired"
	if r.indexDamage != nil {
		why = r.indexDamage.Error()
	}
	if err := r.mnt.RenewIndex(why); err != nil {
		return err
	}
	return r.writeIndex(ctx, all)
}

// order gives the records that stand, each with a place in the order of its own.
func (r *run) order() []ref {
	all := r.best
	slices.SortFunc(all, func(x, y ref) int { return cmp.Or(cmp.Compare(r.at(x).seq, r.at(y).seq), r.bySlot(x, y)) })
	next := uint64(0)
	for _, x := range all {
		k := r.at(x)
		k.seq = max(k.seq, next)
		next = k.seq + 1
	}
	r.maxSeq = max(r.maxSeq, next)
	return all
}

// The engine claims ids in steps, and begins its sequences at the number of the claim: see docs/design/0003.
const (
	idsPerClaim = 4096
	seqBits     = 40
)

// writeSuperblock replaces a damaged one, and raises the ceiling of the ids above all that were met.
func (r *run) writeSuperblock() error {
	ceiling := r.super.IDCeiling
	for _, f := range r.files {
		if f.seg != nil {
			ceiling = max(ceiling, uint64(f.id)+1)
		}
	}
	for id := range r.oldSegs {
		ceiling = max(ceiling, uint64(id)+1)
	}
	if r.superDamage != nil {
		ceiling = r.newIDs(max(ceiling, (r.maxSeq>>seqBits+1)*idsPerClaim))
		r.super.IDCeiling = ceiling
		return r.mnt.Replace(r.super, r.superDamage.Error())
	}
	if ceiling = r.newIDs(ceiling); ceiling == r.super.IDCeiling {
		return nil
	}
	return r.mnt.Update(func(s *mount.Superblock) { s.IDCeiling = ceiling })
}

// moveFiles moves what is no segment to quarantine, and then segments to their names. Those that stand in each other's
// place leave it first.
func (r *run) moveFiles() error {
	for _, f := range r.files {
		if f.seg == nil {
			if err := r.mnt.Quarantine(f.path, f.why); err != nil {
				return err
			}
		}
	}
	for _, suffix := range []string{".moved", ""} {
		for _, f := range r.files {
			if f.seg == nil || r.misnamed(f) == 0 {
				continue
			}
			to := r.mnt.SegmentPath(f.id) + suffix
			if err := errors.Join(f.seg.Close(), r.fsys.Rename(f.path, to), r.fsys.SyncDir(filepath.Dir(to))); err != nil {
				return err
			}
			f.path, f.seg = to, segments.At(r.fsys, to, r.super.ID, f.id)
		}
	}
	return nil
}

// copyBad copies payloads that are not what their slots say.
func (r *run) copyBad() error {
	for _, f := range r.files {
		for _, b := range f.bad {
			if err := r.copyOne(f, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) copyOne(f *file, bad badPayload) error {
	rec := bad.rec
	in, err := r.fsys.Open(f.path, false)
	if err != nil {
		return err
	}
	defer in.Close()
	b := make([]byte, rec.Length)
	n, _ := in.ReadAt(b, rec.Offset) // what can be read of it
	return r.mnt.SetAside(fmt.Sprintf("%016x-%d-%s", uint64(rec.Segment), rec.Slot, rec.Hash.Short()), b[:n], bad.why)
}

// markSlots makes durable what does not count any more, and with it all that was written to the segments before.
func (r *run) markSlots() error {
	for _, f := range r.files {
		if f.seg == nil {
			continue
		}
		if err := r.writeHeader(f); err != nil {
			return err
		}
		for _, slot := range f.dead {
			if err := f.seg.MarkDead(slot); err != nil {
				return err
			}
		}
		for _, slot := range f.erase {
			if err := f.seg.EraseSlot(slot); err != nil {
				return err
			}
		}
		for _, x := range f.blank {
			if err := f.seg.Blank(x); err != nil {
				return err
			}
		}
		for _, rec := range f.again {
			if err := f.seg.RestoreSlot(rec); err != nil {
				return err
			}
		}
		if err := f.seg.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// writeHeader makes the header of a segment anew, once what stands there is put aside.
func (r *run) writeHeader(f *file) error {
	if f.head == nil {
		return nil
	}
	if err := r.mnt.SetAside(fmt.Sprintf("%016x-header", uint64(f.id)), f.head, f.why); err != nil {
		return err
	}
	return f.seg.RestoreHeader()
}

// rowsPerBatch bounds the memory of a commit.
const rowsPerBatch = 1024

// writeIndex writes all rows, gives back what no record covers, and says last that the mount is in good order.
func (r *run) writeIndex(ctx context.Context, all []ref) (err error) {
	x, err := index.Open(index.Options{FS: pebblefs.New(r.fsys), Dir: r.mnt.IndexDir(), CacheBytes: indexCache})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	rows := map[segments.ID]*index.SegmentRow{}
	for _, f := range r.files {
		if f.seg != nil {
			rows[f.id] = &index.SegmentRow{ID: f.id, State: index.StateSealed, Capacity: f.hdr.Capacity, Slots: f.slots, Watermark: f.slots}
		}
	}
	for some := range slices.Chunk(all, rowsPerBatch) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		b := x.NewBatch()
		for _, x := range some {
			k, id := r.at(x), r.files[x.file].id
			b.Put(k.hash, index.Entry{Location: k.record(id).Location, Seq: k.seq, Kind: k.kind})
			count(rows[id], k)
		}
		if err := b.Commit(false); err != nil {
			return err
		}
	}
	b := x.NewBatch()
	for _, row := range rows {
		b.SetSegment(*row)
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	for _, f := range r.files {
		if f.seg != nil {
			if err := f.giveBack(); err != nil {
				return err
			}
		}
	}
	b = x.NewBatch()
	b.SetMeta(index.Meta{NextSeq: r.maxSeq + 1, Clean: true})
	return b.Commit(true)
}

func count(row *index.SegmentRow, k *kept) {
	n := segments.Blocks(k.length)
	row.LiveBlobs++
	row.LiveBytes += n
	if k.kind == blob.KindSD {
		row.SDBytes += n
	}
}

// giveBack punches what no slot and no record covers, and cuts the tail.
func (f *file) giveBack() error {
	end, err := f.seg.Size()
	if err != nil {
		return err
	}
	if err := f.seg.PunchTable(f.slots); err != nil {
		return err
	}
	at := f.hdr.PayloadAt()
	for _, k := range f.byOffset() {
		if k.offset > at {
			if err := f.seg.Punch(at, k.offset-at); err != nil {
				return err
			}
		}
		at = max(at, k.end())
	}
	if end > at {
		if err := f.seg.GiveBack(at); err != nil {
			return err
		}
	}
	return f.seg.Sync()
}
