package repair

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// kept is a record that stands, 96 bytes. There is one for each blob of the mount: this is what the memory of a run goes
// to.
type kept struct {
	hash   blob.Hash
	seq    uint64 // its place in the order of eviction
	wrote  uint64 // that of its slot, in the order of writing
	offset int64
	slot   uint32
	length uint32
	crc    uint32
	time   uint32
	kind   blob.Kind
	known  bool // its blob is in the old index
	out    bool // another record of its blob, or of its extent, took its place
}

func keep(rec segments.Record) kept {
	return kept{
		hash: rec.Hash, seq: rec.Seq, wrote: rec.Seq, offset: rec.Offset,
		slot: rec.Slot, length: rec.Length, crc: rec.CRC, time: rec.Time, kind: rec.Kind,
	}
}

// record gives what its slot says.
func (k *kept) record(id segments.ID) segments.Record {
	return segments.Record{
		Hash:     k.hash,
		Location: segments.Location{Segment: id, Slot: k.slot, Offset: k.offset, Length: k.length, CRC: k.crc},
		Seq:      k.wrote, Time: k.time, Kind: k.kind,
	}
}

// end is where its whole blocks end.
func (k *kept) end() int64 { return k.offset + segments.Blocks(k.length) }

// ref names a record that stands: by its file, and its place in what that file keeps.
type ref struct{ file, at uint32 }

func (r *run) at(x ref) *kept { return &r.files[x.file].keep[x.at] }

// gone is a record that does not stand, or a row without one.
type gone struct {
	Lost
	known bool // its blob is in the old index
	fault bool // a record was met
}

// fault notes why a record does not stand.
func (r *run) fault(rec segments.Record, why string, known bool) {
	r.gone = append(r.gone, gone{Lost: Lost{Hash: rec.Hash, Place: rec.Location, Reason: why}, known: known, fault: true})
}

// settle decides between records of one blob, and says what is lost.
func (r *run) settle() {
	for _, id := range slices.Sorted(maps.Keys(r.rows)) { // of segments that have no file
		r.dropRows(id)
	}
	r.chooseBest()
	r.sortGone()
	for _, x := range r.best {
		r.rep.Blobs++
		if k := r.at(x); !k.known && !r.wasKnown(k.hash) {
			r.rep.Adopted++
		}
	}
	for _, g := range r.gone {
		if !r.stands(g.Hash) {
			r.rep.Lost = append(r.rep.Lost, g.Lost)
		}
	}
	r.gone = nil
	slices.SortFunc(r.rep.Lost, func(a, b Lost) int {
		return cmp.Or(cmp.Compare(a.Place.Segment, b.Place.Segment), cmp.Compare(a.Place.Slot, b.Place.Slot), slices.Compare(a.Hash[:], b.Hash[:]))
	})
	for _, f := range r.files {
		for _, b := range f.bad {
			rec := b.rec
			r.note("copy the payload at %d:%d (%d bytes at %d) to quarantine: it is not that of %s", rec.Segment, rec.Slot, rec.Length, rec.Offset, rec.Hash)
		}
	}
}

// chooseBest keeps the youngest record of each blob. It sorts, because a map of all blobs would take more memory than
// the records themselves.
func (r *run) chooseBest() {
	n := 0
	for _, f := range r.files {
		n += len(f.keep)
	}
	all := make([]ref, 0, n)
	for i, f := range r.files {
		for j := range f.keep {
			if !f.keep[j].out {
				all = append(all, ref{uint32(i), uint32(j)})
			}
		}
	}
	slices.SortFunc(all, func(x, y ref) int {
		a, b := r.at(x), r.at(y)
		return cmp.Or(bytes.Compare(a.hash[:], b.hash[:]), cmp.Compare(b.wrote, a.wrote), r.bySlot(x, y))
	})
	r.best = all[:0]
	for _, x := range all {
		k := r.at(x)
		if n := len(r.best); n > 0 && r.at(r.best[n-1]).hash == k.hash {
			best := r.at(r.best[n-1])
			best.known = best.known || k.known
			k.out = true
			f := r.files[x.file]
			f.dead = append(f.dead, k.slot)
			continue
		}
		r.best = append(r.best, x)
	}
}

// bySlot compares two records by where they are.
func (r *run) bySlot(x, y ref) int {
	return cmp.Or(cmp.Compare(r.files[x.file].id, r.files[y.file].id), cmp.Compare(r.at(x).slot, r.at(y).slot))
}

// stands says whether a record of the blob does.
func (r *run) stands(h blob.Hash) bool {
	_, found := slices.BinarySearchFunc(r.best, h, func(x ref, h blob.Hash) int { return bytes.Compare(r.at(x).hash[:], h[:]) })
	return found
}

// sortGone leaves one of each blob, by hash: the last fault that was met, or the row.
func (r *run) sortGone() {
	slices.SortStableFunc(r.gone, func(a, b gone) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	one := r.gone[:0]
	for _, g := range r.gone {
		n := len(one)
		if n == 0 || one[n-1].Hash != g.Hash {
			one = append(one, g)
			continue
		}
		last := &one[n-1]
		if g.known = g.known || last.known; g.fault || !last.fault {
			*last = g
		} else {
			last.known = g.known
		}
	}
	r.gone = one
}

// wasKnown says whether the old index had a blob of which what it named does not stand.
func (r *run) wasKnown(h blob.Hash) bool {
	at, found := slices.BinarySearchFunc(r.gone, h, func(g gone, h blob.Hash) int { return bytes.Compare(g.Hash[:], h[:]) })
	return found && r.gone[at].known
}
