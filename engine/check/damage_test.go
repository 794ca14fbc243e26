package check_test

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

type found = map[check.Kind]int64

// damage is one thing that is done to a mount that was whole, and what the checker must say about it: no more, and no
// less.
type damage struct {
	name    string
	do      func(b *bed)
	options check.Options
	want    found
	at      string // begins one of the findings, after its kind
}

func TestDamageIsFoundAndNamed(t *testing.T) {
	whole := memBed(t).build()
	for _, list := range [][]damage{mountDamage(), segmentDamage(), rowDamage(), slotDamage(), orderDamage(), payloadDamage(), strayDamage()} {
		for _, d := range list {
			t.Run(d.name, func(t *testing.T) {
				b := whole.clone(t)
				d.do(b)
				_ = b.check(d.options)
				r := b.check(d.options) // the first one left nothing open, and changed nothing
				if !maps.Equal(r.Found, d.want) || r.Clean() != (len(d.want) == 0) {
					t.Errorf("found %v, want %v\n%v", r.Found, d.want, r)
				}
				named := d.at == ""
				for _, f := range r.Findings {
					if f.Detail == "" || f.Repair == "" {
						t.Errorf("%+v does not say enough", f)
					}
					named = named || strings.HasPrefix(f.String(), d.at)
				}
				if !named {
					t.Errorf("no finding begins %q\n%v", d.at, r)
				}
			})
		}
	}
}

// raw writes a row that the index would not.
func (b *bed) raw(key, value string) {
	b.t.Helper()
	db, err := pebble.Open(filepath.Join(b.dir, "index"), &pebble.Options{
		FS: pebblefs.New(b.fs), FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion),
	})
	b.must(err)
	b.must(db.Set([]byte(key), []byte(value), pebble.Sync))
	b.must(db.Close())
}

func mountDamage() []damage {
	return []damage{
		{name: "nothing", do: func(*bed) {}, want: found{}, options: check.Options{Payloads: true, Hashes: true}},
		{name: "superblock", want: found{check.Superblock: 1}, do: func(b *bed) {
			b.flip(filepath.Join(b.dir, "superblock"), 60)
		}},
		{name: "no superblock", want: found{check.Superblock: 1}, do: func(b *bed) {
			b.must(b.fs.Remove(filepath.Join(b.dir, "superblock")))
		}},
		{name: "id ceiling", want: found{check.Superblock: 1}, at: "superblock 2: ", do: func(b *bed) {
			b.open(func(m *mount.Mount) { b.must(m.Update(func(s *mount.Superblock) { s.IDCeiling = 2 })) })
		}},
		{name: "a foreign file", want: found{check.ForeignFile: 1}, at: "foreign-file: /mount/segments/notes.txt", do: func(b *bed) {
			f, err := b.fs.Create(filepath.Join(b.dir, "segments/notes.txt"))
			b.must(errors.Join(err, f.Close()))
		}},
		{name: "index damaged", want: found{check.Index: 1}, do: func(b *bed) {
			dir := filepath.Join(b.dir, "index")
			names, err := b.fs.List(dir)
			b.must(err)
			for _, name := range names {
				if strings.HasPrefix(name, "MANIFEST") {
					b.patch(filepath.Join(dir, name), 0, make([]byte, 100))
				}
			}
		}},
		{name: "index lost", want: found{check.Index: 1}, do: func(b *bed) {
			dir := filepath.Join(b.dir, "index")
			names, err := b.fs.List(dir)
			b.must(err)
			for _, name := range names {
				b.must(b.fs.Remove(filepath.Join(dir, name)))
			}
		}},
		{name: "a damaged blob row", want: found{check.Index: 1}, do: func(b *bed) { b.raw("b"+strings.Repeat("x", blob.HashSize), "?") }},
		{name: "a damaged order row", want: found{check.Index: 1}, do: func(b *bed) { b.raw("o\xff1234567", "?") }},
		{name: "a damaged segment row", want: found{check.Index: 1}, do: func(b *bed) { b.raw("s\xff1234567", "?") }},
		{name: "a damaged tombstone", want: found{check.Index: 1}, at: "index 2: ", do: func(b *bed) { b.raw("t\x00\x00\x00\x00\x00\x00\x00\x021234", "?") }},
		{name: "segments lost", want: found{check.SegmentMissing: 2}, at: "segment-missing 2: 5 blobs", do: func(b *bed) {
			b.must(errors.Join(b.fs.Remove(b.path(1)), b.fs.Remove(b.path(2))))
		}},
	}
}

func segmentDamage() []damage {
	return []damage{
		{name: "an empty segment without a file", want: found{check.SegmentMissing: 1}, at: "segment-missing 3: ", do: func(b *bed) {
			b.change(1, func(r *index.SegmentRow) { *r = index.SegmentRow{ID: 3, State: index.StateSealed} })
		}},
		{name: "a file without a row", want: found{check.SegmentUnknown: 1}, at: "segment-unknown 3: ", do: func(b *bed) {
			s, err := segments.Create(b.fs, b.path(3), segments.Header{Mount: b.id, ID: 3, Capacity: 1 << 20})
			b.must(err)
			b.must(s.Close())
		}},
		{name: "swapped", want: found{check.SegmentDamaged: 2}, at: "segment-damaged 1: 5 blobs", do: func(b *bed) {
			b.must(errors.Join(b.fs.Rename(b.path(1), b.path(9)), b.fs.Rename(b.path(2), b.path(1)), b.fs.Rename(b.path(9), b.path(2))))
		}},
		{name: "renamed", want: found{check.SegmentMissing: 1, check.SegmentDamaged: 1, check.SegmentUnknown: 1}, do: func(b *bed) {
			b.must(b.fs.Rename(b.path(2), b.path(3)))
		}},
		{name: "header", want: found{check.SegmentDamaged: 1}, at: "segment-damaged 2: ", do: func(b *bed) {
			b.flip(b.path(2), 40)
		}},
		{name: "empty file", want: found{check.SegmentDamaged: 1}, do: func(b *bed) {
			f, err := b.fs.Open(b.path(2), true)
			b.must(err)
			b.must(errors.Join(f.Truncate(0), f.Close()))
		}},
		{name: "a folder in its place", want: found{check.SegmentDamaged: 1}, do: func(b *bed) {
			b.must(errors.Join(b.fs.Remove(b.path(2)), b.fs.Mkdir(b.path(2))))
		}},
		{name: "the disk fails under its header", want: found{check.Unreadable: 1}, at: "unreadable 2: ", do: func(b *bed) {
			b.must(b.disk.FailReads(b.path(2), 0, 1))
		}},
		{name: "the disk fails under its table", want: found{check.Unreadable: 1}, at: "unreadable 2: ", do: func(b *bed) {
			b.must(b.disk.FailReads(b.path(2), segments.HeaderSize, 1))
		}},
		{name: "blocks that nothing needs", want: found{check.SlotWithoutRow: 1, check.Leak: 1}, at: "leak 1: ", do: func(b *bed) {
			b.forget(b.recs[1][5])
		}},
		{name: "a dead record that was not punched", want: found{check.Leak: 1}, at: "leak 1: ", do: func(b *bed) {
			b.forget(b.recs[1][5])
			b.segment(1, func(s *segments.Segment) { b.must(s.MarkDead(5)) })
		}},
		{name: "a tail that was not given back", want: found{check.Leak: 1}, at: "leak 2: ", do: func(b *bed) {
			f, err := b.fs.Open(b.path(2), true)
			b.must(err)
			b.must(errors.Join(f.Preallocate(3<<20, 1<<20), f.Close()))
		}},
	}
}

func rowDamage() []damage {
	row := func(name string, f func(r *index.SegmentRow), want check.Kind) damage {
		return damage{name: name, want: found{want: 1}, at: string(want) + " 2: ", do: func(b *bed) { b.change(2, f) }}
	}
	return []damage{
		row("capacity", func(r *index.SegmentRow) { r.Capacity += 4096 }, check.SegmentRow),
		row("too many slots", func(r *index.SegmentRow) { r.Slots, r.Watermark = segmentBlocks+1, segmentBlocks+1 }, check.SegmentRow),
		row("watermark beyond the table", func(r *index.SegmentRow) { r.Slots, r.Watermark = 0, segmentBlocks+1 }, check.SegmentRow),
		row("watermark above the slots", func(r *index.SegmentRow) { r.Watermark = 7 }, check.SegmentRow),
		row("watermark below the slots", func(r *index.SegmentRow) { r.Watermark = 5 }, check.SegmentRow),
		row("active after a good stop", func(r *index.SegmentRow) { r.State = index.StateActive }, check.SegmentRow),
		row("doomed with blobs", func(r *index.SegmentRow) { r.State = index.StateDoomed }, check.SegmentRow),
		row("live blobs", func(r *index.SegmentRow) { r.LiveBlobs++ }, check.Totals),
		row("live bytes", func(r *index.SegmentRow) { r.LiveBytes -= 4096 }, check.Totals),
		row("SD bytes", func(r *index.SegmentRow) { r.SDBytes = 0 }, check.Totals),
		{name: "a slot beyond the end", want: found{check.SlotBeyondEnd: 1}, at: "slot-beyond-end 2:5 at ", do: func(b *bed) {
			b.change(2, func(r *index.SegmentRow) { r.Slots, r.Watermark = 5, 5 })
		}},
		{name: "no segment row", want: found{check.SegmentRow: 1}, at: "segment-row 2: 5 blob rows", do: func(b *bed) {
			b.index(func(_ *index.Index, batch *index.Batch) { batch.DeleteSegment(2) })
		}},
		{name: "a row without a place", want: found{check.SegmentMissing: 1}, at: "segment-missing: ", do: func(b *bed) {
			b.index(func(_ *index.Index, batch *index.Batch) {
				batch.Put(blob.Hash{1}, index.Entry{Seq: 999, Location: segments.Location{Length: 1}})
			})
		}},
	}
}

// replace gives a record's row another place or kind.
func (b *bed) replace(rec segments.Record, f func(e *index.Entry)) {
	b.index(func(x *index.Index, batch *index.Batch) {
		e, err := x.Get(rec.Hash)
		b.must(err)
		batch.Delete(rec.Hash, e)
		f(&e)
		batch.Put(rec.Hash, e)
	})
}

func slotAt(slot int64) int64 { return segments.HeaderSize + slot*segments.SlotSize }

func slotDamage() []damage {
	return []damage{
		{name: "an empty slot", want: found{check.RowWithoutSlot: 1}, at: "row-without-slot 1:3 at ", do: func(b *bed) {
			b.patch(b.path(1), slotAt(3), make([]byte, segments.SlotSize))
		}},
		{name: "a flipped bit", want: found{check.RowWithoutSlot: 1}, at: "row-without-slot 1:5 at ", do: func(b *bed) {
			b.flip(b.path(1), slotAt(5)+60)
		}},
		{name: "slots that were swapped", want: found{check.RowWithoutSlot: 2}, do: func(b *bed) {
			f, err := b.fs.Open(b.path(1), true)
			b.must(err)
			both := make([]byte, 2*segments.SlotSize)
			_, err = f.ReadAt(both, slotAt(0))
			b.must(errors.Join(err, f.Close()))
			b.patch(b.path(1), slotAt(0), append(both[segments.SlotSize:], both[:segments.SlotSize]...))
		}},
		{name: "a row beyond the table", want: found{check.RowWithoutSlot: 1, check.SlotWithoutRow: 1}, at: "row-without-slot 1:1024 at ", do: func(b *bed) {
			b.replace(b.recs[1][0], func(e *index.Entry) { e.Slot = segmentBlocks })
		}},
		{name: "marked dead", want: found{check.RowOfDeadSlot: 1}, at: "row-of-dead-slot 1:4 at ", do: func(b *bed) {
			b.segment(1, func(s *segments.Segment) { b.must(s.MarkDead(4)) })
		}},
		{name: "rows that were swapped", want: found{check.RowOfOtherSlot: 2}, at: "row-of-other 2:0 at ", do: func(b *bed) {
			one, other := b.recs[2][0], b.recs[2][3]
			b.index(func(x *index.Index, batch *index.Batch) {
				e, err := x.Get(one.Hash)
				f, err2 := x.Get(other.Hash)
				b.must(errors.Join(err, err2))
				batch.Put(one.Hash, f)
				batch.Put(other.Hash, e)
				r := b.row(2)
				batch.SetSegment(r)
			})
		}},
		{name: "another CRC", want: found{check.RowOfOtherSlot: 1}, do: func(b *bed) {
			b.replace(b.recs[2][0], func(e *index.Entry) { e.CRC++ })
		}},
		{name: "another offset", want: found{check.RowOfOtherSlot: 1}, do: func(b *bed) {
			b.replace(b.recs[2][0], func(e *index.Entry) { e.Offset += 4096 })
		}},
		{name: "another kind", want: found{check.RowOfOtherSlot: 1, check.Totals: 1}, do: func(b *bed) {
			b.replace(b.recs[2][0], func(e *index.Entry) { e.Kind = blob.KindSD })
		}},
		{name: "two rows of one slot", want: found{check.RowOfOtherSlot: 1, check.Totals: 1}, at: "row-of-other 1:0 at ", do: func(b *bed) {
			b.index(func(_ *index.Index, batch *index.Batch) {
				rec := b.recs[1][0]
				rec.Hash = blob.Hash{1}
				b.put(batch, rec)
			})
		}},
		{name: "a record without a row", want: found{check.SlotWithoutRow: 1}, at: "slot-without-row 1:3 at ", do: func(b *bed) {
			b.forget(b.recs[1][3])
		}},
		{name: "a record that another segment has too", want: found{check.SlotWithoutRow: 1}, at: "slot-without-row 2:6 at ", do: func(b *bed) {
			b.add(2, content(100, 1), false)
		}},
		{name: "a record whose row was buried", want: found{}, do: func(b *bed) {
			b.forget(b.recs[1][3])
			b.index(func(_ *index.Index, batch *index.Batch) { batch.Tombstone(1, 3) })
		}},
		{name: "torn slots that nothing names", want: found{}, do: func(b *bed) {
			b.patch(b.path(1), slotAt(2)+10, []byte("torn"))
		}},
		{name: "a hole", want: found{check.NoData: 1}, at: "no-data 1:5 at ", do: func(b *bed) {
			b.segment(1, func(s *segments.Segment) { b.must(s.Punch(b.recs[1][5].Offset+40960, 4096)) })
		}},
		{name: "a file that ends early", want: found{check.NoData: 1}, at: "no-data 1:5 at ", do: func(b *bed) {
			f, err := b.fs.Open(b.path(1), true)
			b.must(err)
			b.must(errors.Join(f.Truncate(b.recs[1][5].Offset+999_999), f.Close()))
		}},
		{name: "extents that overlap", want: found{check.Overlap: 1}, at: "overlap 2:6 at ", do: func(b *bed) {
			b.addAt(2, 6, b.recs[2][5].Offset+4096, content(205, 1_000_000)[4096:8192], true)
		}},
		{name: "dead and live records over a live one", want: found{check.Overlap: 2}, at: "overlap 2:6 at ", do: func(b *bed) {
			b.addAt(2, 6, b.recs[2][5].Offset+4096, content(205, 1_000_000)[4096:8192], false)
			b.segment(2, func(s *segments.Segment) { b.must(s.MarkDead(6)) })
			b.addAt(2, 7, b.recs[2][5].Offset+40960, content(205, 1_000_000)[40960:50000], true)
		}},
		{name: "a live record over a dead one", want: found{check.Overlap: 1}, at: "overlap 2:6 at ", do: func(b *bed) {
			b.addAt(2, 6, b.recs[2][2].Offset+4096, content(1, 5), true)
		}},
	}
}

// add writes one more record at the end of a segment; with a row it is as good as the others.
func (b *bed) add(id segments.ID, p []byte, row bool) segments.Record {
	last := b.recs[id][5]
	return b.addAt(id, 6, last.Offset+segments.Blocks(last.Length), p, row)
}

// addAt writes one more record at an offset that may be in use.
func (b *bed) addAt(id segments.ID, slot uint32, off int64, p []byte, row bool) segments.Record {
	b.t.Helper()
	rec := segments.Record{Hash: blob.Sum(p), Seq: 9999, Location: segments.Location{
		Segment: id, Slot: slot, Offset: off, Length: uint32(len(p)), CRC: segments.Checksum(p),
	}}
	b.segment(id, func(s *segments.Segment) { b.must(s.Write(rec, p)) })
	b.index(func(_ *index.Index, batch *index.Batch) {
		r := b.row(id)
		r.Slots, r.Watermark = slot+1, slot+1
		if row {
			b.put(batch, rec)
			count(&r, rec, 1)
		}
		batch.SetSegment(r)
	})
	return rec
}

func orderDamage() []damage {
	return []damage{
		{name: "a blob that the order lacks", want: found{check.RowWithoutOrder: 1}, at: "row-without-order 1:3 at ", do: func(b *bed) {
			b.index(func(x *index.Index, batch *index.Batch) {
				e, err := x.Get(b.recs[1][3].Hash)
				b.must(err)
				batch.Delete(blob.Hash{1}, e) // the order row of one blob, and no row of another
			})
		}},
		{name: "an old place in the order", want: found{check.OrderWithoutRow: 1}, at: "order-without-row 1:3 ", do: func(b *bed) {
			b.index(func(_ *index.Index, batch *index.Batch) { b.put(batch, b.recs[1][3]) })
		}},
		{name: "a place of no blob", want: found{check.OrderWithoutRow: 1}, at: "order-without-row 1:2: ", do: func(b *bed) {
			b.index(func(_ *index.Index, batch *index.Batch) {
				b.put(batch, b.recs[1][2])
				batch.Delete(b.recs[1][2].Hash, index.Entry{Seq: 1 << 60}) // its blob row only
			})
		}},
		{name: "two blobs at one place of the order", want: found{check.RowWithoutOrder: 1}, do: func(b *bed) {
			one, other := b.recs[1][3], b.recs[1][4]
			b.index(func(x *index.Index, batch *index.Batch) {
				e, err := x.Get(one.Hash)
				f, err2 := x.Get(other.Hash)
				b.must(errors.Join(err, err2))
				batch.Delete(other.Hash, f)
				f.Seq = e.Seq
				batch.Put(other.Hash, f)
			})
		}},
	}
}

func payloadDamage() []damage {
	flip := func(b *bed) { b.flip(b.path(2), b.recs[2][5].Offset+999_999) }
	wrong := func(b *bed) {
		p := content(7, 100)
		rec := segments.Record{Hash: blob.Hash{1}, Seq: 9999, Location: segments.Location{
			Segment: 1, Slot: 6, Offset: b.recs[1][5].Offset + segments.Blocks(b.recs[1][5].Length), Length: 100, CRC: segments.Checksum(p),
		}}
		b.segment(1, func(s *segments.Segment) { b.must(s.Write(rec, p)) })
		b.index(func(_ *index.Index, batch *index.Batch) {
			b.put(batch, rec)
			r := b.row(1)
			count(&r, rec, 1)
			r.Slots, r.Watermark = 7, 7
			batch.SetSegment(r)
		})
	}
	payloads, hashes := check.Options{Payloads: true}, check.Options{Hashes: true}
	return []damage{
		{name: "a flipped bit, not looked at", do: flip, want: found{}},
		{name: "a flipped bit by its CRC", do: flip, options: payloads, want: found{check.Payload: 1}, at: "payload 2:5 at "},
		{name: "a flipped bit by its hash", do: flip, options: hashes, want: found{check.Payload: 1}, at: "payload 2:5 at "},
		{name: "right CRC, wrong hash, by its CRC", do: wrong, options: payloads, want: found{}},
		{name: "right CRC, wrong hash", do: wrong, options: hashes, want: found{check.WrongHash: 1}, at: "wrong-hash 1:6 at "},
		{name: "the disk fails under a payload", options: payloads, want: found{check.Unreadable: 1}, at: "unreadable 1:4 at ", do: func(b *bed) {
			b.must(b.disk.FailReads(b.path(1), b.recs[1][4].Offset, 1))
		}},
		{name: "zeros under a payload", options: payloads, want: found{check.Payload: 1}, at: "payload 1:1 at ", do: func(b *bed) {
			b.patch(b.path(1), b.recs[1][1].Offset, make([]byte, 4096))
		}},
	}
}
