package repair

import (
	"cmp"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// row is a blob row of the old index, 80 bytes.
type row struct {
	hash   blob.Hash
	seq    uint64
	offset int64
	slot   uint32
	length uint32
	crc    uint32
	kind   blob.Kind
	met    bool // its record was met, and judged
}

// entry gives the row as the index has it.
func (x *row) entry(id segments.ID) index.Entry {
	return index.Entry{
		Location: segments.Location{Segment: id, Slot: x.slot, Offset: x.offset, Length: x.length, CRC: x.crc},
		Seq:      x.seq, Kind: x.kind,
	}
}

// rowsAhead bounds what is made for the rows of a segment before they are read: 20 MiB.
const rowsAhead = 1 << 18

// readBlobs reads the blob rows of the old index, those of each segment by slot. What was read before an error stays.
func (r *run) readBlobs(x *index.Index) error {
	err := x.All(func(h blob.Hash, e index.Entry) error {
		of := r.rows[e.Segment]
		if of == nil {
			of = make([]row, 0, min(max(0, r.oldSegs[e.Segment].LiveBlobs), rowsAhead))
		}
		r.rows[e.Segment] = append(of, row{
			hash: h, seq: e.Seq, offset: e.Offset, slot: e.Slot, length: e.Length, crc: e.CRC, kind: e.Kind,
		})
		return nil
	})
	for _, list := range r.rows {
		slices.SortFunc(list, func(a, b row) int { return cmp.Compare(a.slot, b.slot) })
	}
	return err
}

// rowOf gives the row that names a record, or nil.
func (r *run) rowOf(rec segments.Record) *row {
	list := r.rows[rec.Segment]
	at, _ := slices.BinarySearchFunc(list, rec.Slot, func(x row, slot uint32) int { return cmp.Compare(x.slot, slot) })
	for ; at < len(list) && list[at].slot == rec.Slot; at++ { // one, but for damage
		if x := &list[at]; x.hash == rec.Hash && x.entry(rec.Segment).Location == rec.Location {
			return x
		}
	}
	return nil
}

// dropRows ends the use of the rows of a segment. Those whose records were not met are of blobs that may be lost.
func (r *run) dropRows(id segments.ID) {
	list := r.rows[id]
	for i := range list {
		if x := &list[i]; !x.met {
			r.gone = append(r.gone, gone{Lost: Lost{Hash: x.hash, Place: x.entry(id).Location, Reason: "there is no such record"}, known: true})
		}
	}
	delete(r.rows, id)
}
