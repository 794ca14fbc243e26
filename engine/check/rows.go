package check

import (
	"cmp"
	"context"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// row is a blob row, 80 bytes.
type row struct {
	hash    blob.Hash
	seq     uint64
	offset  int64
	slot    uint32
	length  uint32
	crc     uint32
	kind    blob.Kind
	ordered bool // its order row was met
}

// location gives the row's place.
func (r *row) location(id segments.ID) segments.Location {
	return segments.Location{Segment: id, Slot: r.slot, Offset: r.offset, Length: r.length, CRC: r.crc}
}

// end is where its whole blocks end.
func (r *row) end() int64 { return r.offset + segments.Blocks(r.length) }

// lengths is the sum of payloads.
func lengths(list []*row) (n int64) {
	for _, r := range list {
		n += int64(r.length)
	}
	return n
}

// rows is all blob rows, by segment and then by slot.
type rows map[segments.ID][]row

// source is where the rows are read from. Its methods are called once each, in this order.
type source interface {
	Meta() (index.Meta, bool, error)
	Segments() ([]index.SegmentRow, error)
	All(fn func(blob.Hash, index.Entry) error) error
	Order(fn func(index.OrderRow) error) error
}

// atRest is an index that nobody writes.
type atRest struct{ *index.Index }

// Order calls fn for every order row, from older to younger blobs.
func (x atRest) Order(fn func(index.OrderRow) error) error {
	cur, err := x.Cursor(0)
	if err != nil {
		return err
	}
	defer cur.Close()
	for o, ok := cur.Next(); ok; o, ok = cur.Next() {
		if err := fn(o); err != nil {
			return err
		}
	}
	return cur.Err()
}

func (c *checker) source() source {
	if c.served != nil {
		return c.served.view.Rows
	}
	return atRest{c.ix}
}

// ctxEvery is how many rows are read between two looks at the context.
const ctxEvery = 4096

// rowsAhead bounds what is made for the rows of a segment before they are read: 20 MiB.
const rowsAhead = 1 << 18

// readRows reads the blob rows, of which the segment rows say how many there are.
func (c *checker) readRows(ctx context.Context, list []index.SegmentRow) error {
	c.rows = rows{}
	expected := make(map[segments.ID]int64, len(list))
	for _, s := range list {
		expected[s.ID] = min(max(0, s.LiveBlobs), rowsAhead)
	}
	r := c.rep
	r.Blobs, r.Bytes, r.LiveBytes, r.SDBytes = 0, 0, 0, 0
	err := c.source().All(func(h blob.Hash, e index.Entry) error {
		of := c.rows[e.Segment]
		if of == nil {
			of = make([]row, 0, expected[e.Segment])
		}
		c.rows[e.Segment] = append(of, row{
			hash: h, seq: e.Seq, offset: e.Offset, slot: e.Slot, length: e.Length, crc: e.CRC, kind: e.Kind,
		})
		r.Blobs++
		r.Bytes += int64(e.Length)
		r.LiveBytes += segments.Blocks(e.Length)
		if e.Kind == blob.KindSD {
			r.SDBytes += segments.Blocks(e.Length)
		}
		if r.Blobs%ctxEvery == 0 {
			return context.Cause(ctx)
		}
		return nil
	})
	for _, list := range c.rows {
		slices.SortFunc(list, func(a, b row) int { return cmp.Compare(a.slot, b.slot) })
	}
	return err
}

// at gives the rows that name a slot: one, but for damage.
func (r rows) at(id segments.ID, slot uint32) []row {
	list := r[id]
	from, _ := slices.BinarySearchFunc(list, slot, func(x row, slot uint32) int { return cmp.Compare(x.slot, slot) })
	to := from
	for to < len(list) && list[to].slot == slot {
		to++
	}
	return list[from:to]
}

// checkOrder holds the order rows to the blob rows, both ways.
func (c *checker) checkOrder(ctx context.Context) error {
	n := 0
	err := c.source().Order(func(o index.OrderRow) error {
		if n++; n%ctxEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.matchOrder(o)
		return nil
	})
	if err != nil {
		return c.indexError(err)
	}
	for id, list := range c.rows {
		for i := range list {
			if r := &list[i]; !r.ordered {
				c.findAt(RowWithoutOrder, r.hash, r.location(id), "no order row has its sequence %d: it is never evicted", r.seq)
			}
		}
	}
	return nil
}

// indexError makes a finding of damage; the rest is an error.
func (c *checker) indexError(err error) error {
	if isDamage(err) {
		c.find(Index, 0, "%v", err)
		return nil
	}
	return err
}

func (c *checker) matchOrder(o index.OrderRow) {
	found := c.rows.at(o.Segment, o.Slot)
	for i := range found {
		if r := &found[i]; r.seq == o.Seq && (o.Segment != 0 || r.hash == o.Hash) {
			r.ordered = true
			return
		}
	}
	f := Finding{Kind: OrderWithoutRow, Segment: o.Segment, Slot: int64(o.Slot), Hash: o.Hash, Detail: "no blob row has this place"}
	if len(found) > 0 {
		f.Hash, f.Detail = found[0].hash, "its blob row has another sequence"
	}
	c.add(f)
}
