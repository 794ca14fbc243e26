package index_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// modelBlobs is how many blobs a model knows of.
const modelBlobs = 1000

// model is what an index must hold.
type model struct {
	blobs      map[blob.Hash]index.Entry
	segments   map[segments.ID]index.SegmentRow
	tombstones map[segments.ID]map[uint32]struct{}
	meta       *index.Meta
	seq        uint64
}

func newModel() *model {
	return &model{
		blobs:      map[blob.Hash]index.Entry{},
		segments:   map[segments.ID]index.SegmentRow{},
		tombstones: map[segments.ID]map[uint32]struct{}{},
	}
}

// step makes one change in both.
func (m *model) step(r *rand.Rand, b *index.Batch) {
	h := hashOf(r.IntN(modelBlobs))
	old, there := m.blobs[h]
	seg := segments.ID(1 + r.IntN(5))
	switch k := r.IntN(20); {
	case k < 10:
		if there {
			b.Delete(h, old)
		}
		m.seq++
		e := index.Entry{Seq: m.seq, Kind: blob.Kind(r.IntN(2))}
		e.Length = 1 + r.Uint32N(blob.MaxSize)
		if r.IntN(8) > 0 { // else as the sharded mode has it
			e.Segment, e.Slot, e.CRC = seg, r.Uint32(), r.Uint32()
			e.Offset = r.Int64N(1<<40) * segments.BlockSize
		}
		b.Put(h, e)
		m.blobs[h] = e
	case k < 14:
		if there {
			b.Delete(h, old)
			delete(m.blobs, h)
		}
	case k < 16:
		if there {
			m.seq++
			b.Restamp(h, old, m.seq)
			old.Seq = m.seq
			m.blobs[h] = old
		}
	case k == 16:
		row := index.SegmentRow{
			ID: seg, State: index.State(r.IntN(4)), Capacity: r.Int64(), Slots: r.Uint32(), LiveBlobs: r.Int64(),
			LiveBytes: r.Int64(), SDBytes: r.Int64(), Watermark: r.Uint32(),
		}
		b.SetSegment(row)
		m.segments[seg] = row
	case k == 17:
		slot := r.Uint32N(100)
		b.Tombstone(seg, slot)
		if m.tombstones[seg] == nil {
			m.tombstones[seg] = map[uint32]struct{}{}
		}
		m.tombstones[seg][slot] = struct{}{}
	case k == 18:
		meta := index.Meta{NextSegment: segments.ID(r.Uint64()), NextSeq: r.Uint64(), Clean: r.IntN(2) == 0}
		meta.Session[r.IntN(16)] = byte(r.Uint32())
		b.SetMeta(meta)
		m.meta = &meta
	}
}

// check compares all that an index says with the model.
func (m *model) check(t *testing.T, x *index.Index) {
	t.Helper()
	for i := range modelBlobs {
		want, there := m.blobs[hashOf(i)]
		got, err := x.Get(hashOf(i))
		if there && (err != nil || got != want) {
			t.Fatalf("blob %d: got %+v, %v, want %+v", i, got, err, want)
		}
		if !there && !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("blob %d: got %+v, %v, want it missing", i, got, err)
		}
	}
	all := map[blob.Hash]index.Entry{}
	var last blob.Hash
	err := x.All(func(h blob.Hash, e index.Entry) error {
		if string(h[:]) <= string(last[:]) {
			t.Fatalf("All gives %s after %s", h.Short(), last.Short())
		}
		all[h], last = e, h
		return nil
	})
	if err != nil || !maps.Equal(all, m.blobs) {
		t.Fatalf("All: %v, %d blobs, want %d", err, len(all), len(m.blobs))
	}
	m.checkOrder(t, x, 0)
	m.checkOrder(t, x, m.seq/2)
	m.checkRest(t, x)
}

func (m *model) checkOrder(t *testing.T, x *index.Index, from uint64) {
	t.Helper()
	var want []index.OrderRow
	for h, e := range m.blobs {
		if e.Seq < from {
			continue
		}
		row := index.OrderRow{Seq: e.Seq, Segment: e.Segment, Slot: e.Slot}
		if e.Segment == 0 {
			row.Hash = h
		}
		want = append(want, row)
	}
	slices.SortFunc(want, func(a, b index.OrderRow) int { return int(int64(a.Seq) - int64(b.Seq)) })
	if got := order(t, x, from); !slices.Equal(got, want) {
		t.Fatalf("order from %d: %d rows, want %d", from, len(got), len(want))
	}
}

func (m *model) checkRest(t *testing.T, x *index.Index) {
	t.Helper()
	rows, err := x.Segments()
	want := slices.SortedFunc(maps.Values(m.segments), func(a, b index.SegmentRow) int { return int(a.ID) - int(b.ID) })
	if err != nil || !slices.Equal(rows, want) {
		t.Fatalf("segments: %v, got %+v, want %+v", err, rows, want)
	}
	for seg := range segments.ID(7) {
		slots, err := x.Tombstones(seg)
		if err != nil || !maps.Equal(slots, m.tombstones[seg]) {
			t.Fatalf("tombstones of %d: %v, got %v, want %v", seg, err, slots, m.tombstones[seg])
		}
	}
	meta, there, err := x.Meta()
	if err != nil || there != (m.meta != nil) || there && meta != *m.meta {
		t.Fatalf("meta: %+v, %v, %v, want %+v", meta, there, err, m.meta)
	}
}

// order reads the eviction order.
func order(t *testing.T, x *index.Index, from uint64) []index.OrderRow {
	t.Helper()
	c, err := x.Cursor(from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var rows []index.OrderRow
	for r, ok := c.Next(); ok; r, ok = c.Next() {
		rows = append(rows, r)
	}
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	return rows
}

// TestModel makes random changes, small memtables making tables and compactions of them, and compares with a map, also
// after the index was closed and opened again.
func TestModel(t *testing.T) {
	r := rand.New(rand.NewPCG(seed(t), 0))
	m := newModel()
	o := index.Options{FS: vfs.NewMem(), Dir: "index", MemTableBytes: 64 << 10, CacheBytes: 1 << 20}
	var flushes, compactions int64
	for range 4 {
		x := open(t, o)
		m.check(t, x)
		for range 400 {
			b := x.NewBatch()
			for range 1 + r.IntN(40) {
				m.step(r, b)
			}
			if r.IntN(10) == 0 {
				m.clear(r, b)
			}
			if err := b.Commit(r.IntN(20) == 0); err != nil {
				t.Fatal(err)
			}
		}
		m.check(t, x)
		s := x.Stats()
		flushes, compactions = flushes+s.Flushes, compactions+s.Compactions
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if flushes == 0 || compactions == 0 {
		t.Fatalf("%d flushes and %d compactions: the tables were never tried", flushes, compactions)
	}
}

// clear clears tombstones that were committed in earlier batches; the model's are those of this batch too, so that it
// uses a segment that no other step uses.
func (m *model) clear(r *rand.Rand, b *index.Batch) {
	const seg = 6
	if m.tombstones[seg] == nil {
		m.tombstones[seg] = map[uint32]struct{}{}
	}
	below := r.Uint32N(100)
	if r.IntN(5) == 0 {
		b.DeleteSegment(seg)
		clear(m.tombstones[seg])
	} else {
		b.ClearTombstones(seg, below)
		maps.DeleteFunc(m.tombstones[seg], func(slot uint32, _ struct{}) bool { return slot < below })
	}
	slot := r.Uint32N(100)
	b.Tombstone(seg, slot)
	m.tombstones[seg][slot] = struct{}{}
}
