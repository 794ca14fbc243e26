package check_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// bed is a mount that was written by the packages below the engine, as the engine would leave it.
type bed struct {
	t    *testing.T
	fs   diskfs.FS
	disk *crashfs.FS // fs, when it is in memory
	dir  string
	id   [16]byte
	recs map[segments.ID][]segments.Record
	seq  uint64 // of the order
}

const segmentBlocks = 1024

func memBed(t *testing.T) *bed {
	t.Helper()
	disk := crashfs.New()
	return &bed{t: t, fs: disk, disk: disk, dir: "/mount"}
}

func osBed(t *testing.T) *bed {
	t.Helper()
	return &bed{t: t, fs: diskfs.OS(), dir: filepath.Join(t.TempDir(), "mount")}
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// open opens the mount for the time of a function, which may change it.
func (b *bed) open(f func(m *mount.Mount)) {
	b.t.Helper()
	m, err := mount.Open(b.fs, b.dir, mount.Superblock{
		SegmentSize: segmentBlocks * segments.BlockSize, IndexFormat: uint32(index.FormatVersion), IDCeiling: 4096,
	})
	b.must(err)
	b.id = m.Superblock().ID
	f(m)
	b.must(m.Close())
}

// index changes the index.
func (b *bed) index(f func(x *index.Index, batch *index.Batch)) {
	b.t.Helper()
	x, err := index.Open(index.Options{FS: pebblefs.New(b.fs), Dir: filepath.Join(b.dir, "index"), CacheBytes: 1 << 20})
	b.must(err)
	batch := x.NewBatch()
	f(x, batch)
	b.must(batch.Commit(true))
	b.must(x.Close())
}

func (b *bed) path(id segments.ID) string {
	return filepath.Join(b.dir, "segments", mount.SegmentName(id))
}

// segment changes a segment.
func (b *bed) segment(id segments.ID, f func(s *segments.Segment)) {
	b.t.Helper()
	s := segments.At(b.fs, b.path(id), b.id, id)
	f(s)
	b.must(s.Close())
}

// patch changes bytes of a file.
func (b *bed) patch(path string, off int64, p []byte) {
	b.t.Helper()
	f, err := b.fs.Open(path, true)
	b.must(err)
	_, err = f.WriteAt(p, off)
	b.must(errors.Join(err, f.Close()))
}

// flip inverts a bit of a file.
func (b *bed) flip(path string, off int64) {
	b.t.Helper()
	f, err := b.fs.Open(path, false)
	b.must(err)
	p := make([]byte, 1)
	_, err = f.ReadAt(p, off)
	b.must(errors.Join(err, f.Close()))
	b.patch(path, off, []byte{p[0] ^ 4})
}

func content(seed byte, n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(p) // never fails
	return p
}

// live says whether the record of that slot is live when the mount is built: slot 2 of each segment was deleted.
func live(slot uint32) bool { return slot != 2 }

// kindOf makes every third blob an SD blob.
func kindOf(slot uint32) blob.Kind {
	if slot%3 == 1 {
		return blob.KindSD
	}
	return blob.KindContent
}

// build makes a mount of two segments with six records each, of which one is dead and punched, and ends it in good
// order.
func (b *bed) build() *bed {
	b.t.Helper()
	b.recs = map[segments.ID][]segments.Record{}
	b.open(func(*mount.Mount) {})
	for id := segments.ID(1); id <= 2; id++ {
		s, err := segments.Create(b.fs, b.path(id), segments.Header{Mount: b.id, ID: id, Capacity: segmentBlocks * segments.BlockSize})
		b.must(err)
		for slot, n := range []int{1, 4096, 300_000, 5000, 70_000, 1_000_000} {
			p := content(byte(id)*100+byte(slot), n)
			loc, _ := s.Reserve(uint32(n))
			loc.CRC = segments.Checksum(p)
			rec := segments.Record{Hash: blob.Sum(p), Location: loc, Seq: uint64(id)<<20 + uint64(slot), Kind: kindOf(loc.Slot)}
			b.must(s.Write(rec, p))
			if !live(rec.Slot) {
				b.must(errors.Join(s.MarkDead(rec.Slot), s.Punch(rec.Offset, segments.Blocks(rec.Length))))
			}
			b.recs[id] = append(b.recs[id], rec)
		}
		s.Seal()
		b.must(errors.Join(s.GiveBack(s.Tail()), s.Sync(), s.Close()))
	}
	b.index(func(_ *index.Index, batch *index.Batch) {
		for id := segments.ID(1); id <= 2; id++ {
			for _, rec := range b.recs[id] {
				if live(rec.Slot) {
					b.put(batch, rec)
				}
			}
			batch.SetSegment(b.row(id))
		}
		batch.SetMeta(index.Meta{NextSeq: 1000, Clean: true})
	})
	return b
}

// clone is the same mount once more, in memory.
func (b *bed) clone(t *testing.T) *bed {
	t.Helper()
	c := *b
	c.t = t
	c.disk, _ = b.disk.Cut(0) // all of it is durable
	c.fs = c.disk
	return &c
}

// put writes the rows of a record, at the young end of the order.
func (b *bed) put(batch *index.Batch, rec segments.Record) index.Entry {
	b.seq++
	e := index.Entry{Location: rec.Location, Seq: b.seq, Kind: rec.Kind}
	batch.Put(rec.Hash, e)
	return e
}

// row is the row that a segment was built with.
func (b *bed) row(id segments.ID) index.SegmentRow {
	r := index.SegmentRow{ID: id, State: index.StateSealed, Capacity: segmentBlocks * segments.BlockSize, Slots: 6, Watermark: 6}
	for _, rec := range b.recs[id] {
		if live(rec.Slot) {
			count(&r, rec, 1)
		}
	}
	return r
}

// count adds n records to a row.
func count(r *index.SegmentRow, rec segments.Record, n int64) {
	r.LiveBlobs += n
	r.LiveBytes += n * segments.Blocks(rec.Length)
	if rec.Kind == blob.KindSD {
		r.SDBytes += n * segments.Blocks(rec.Length)
	}
}

// change changes a segment's row.
func (b *bed) change(id segments.ID, f func(r *index.SegmentRow)) {
	b.t.Helper()
	b.index(func(_ *index.Index, batch *index.Batch) {
		r := b.row(id)
		f(&r)
		batch.SetSegment(r)
	})
}

// forget removes a record's rows and counts it out.
func (b *bed) forget(rec segments.Record) {
	b.t.Helper()
	b.index(func(x *index.Index, batch *index.Batch) {
		e, err := x.Get(rec.Hash)
		b.must(err)
		batch.Delete(rec.Hash, e)
		r := b.row(rec.Segment)
		count(&r, rec, -1)
		batch.SetSegment(r)
	})
}

// unclean makes the last run one that did not end in good order, and gives segment 1 another watermark.
func (b *bed) unclean(watermark uint32) {
	b.t.Helper()
	b.index(func(_ *index.Index, batch *index.Batch) { batch.SetMeta(index.Meta{NextSeq: 1}) })
	b.change(1, func(r *index.SegmentRow) { r.Watermark = watermark })
}

// check runs the checker.
func (b *bed) check(o check.Options) check.Report {
	b.t.Helper()
	r, err := check.Mount(b.t.Context(), b.fs, b.dir, o)
	b.must(err)
	return r
}
