package cli_test

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// badCase is one thing that is done to a mount, and how many blobs it costs: those whose bytes it changed.
type badCase struct {
	name string
	lost int
	do   func(b *bad, one, other segments.ID)
}

// TestBadInput is docs/proofs/bad-inputs.md, 67 to 78, through the program: check reports it, repair mends it, nothing is
// lost but what was damaged, the engine serves no wrong byte, and a second check is clean.
func TestBadInput(t *testing.T) {
	for _, list := range [][]badCase{badSegments(), badSlots(), badFiles(), badIndexes()} {
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				b := newBad(t)
				ids := b.ids()
				if len(ids) != 2 {
					t.Fatalf("segments %v, want two", ids)
				}
				c.do(b, ids[0], ids[1])
				b.mended(c.lost)
			})
		}
	}
}

// last is the record of a segment that lies last.
func (b *bad) last(id segments.ID) segments.Record { return b.recs[id][len(b.recs[id])-1] }

func badSegments() []badCase {
	return []badCase{
		{"67 cut before the last record", 1, func(b *bad, one, _ segments.ID) { b.must(os.Truncate(b.seg(one), b.last(one).Offset)) }},
		{"67 cut within the last record", 1, func(b *bad, one, _ segments.ID) {
			r := b.last(one)
			b.must(os.Truncate(b.seg(one), r.Offset+int64(r.Length)-1))
		}},
		{"68 a bit of a header", 0, func(b *bad, one, _ segments.ID) { b.flip(b.seg(one), 41) }},
		{"68 a bit of a payload", 1, func(b *bad, one, _ segments.ID) { b.flip(b.seg(one), b.last(one).Offset) }},
		{"68 a bit behind a header", 0, func(b *bad, one, _ segments.ID) { b.flip(b.seg(one), 4000) }},
		{"68 a bit behind the last slot", 0, func(b *bad, one, _ segments.ID) {
			b.flip(b.seg(one), segments.SlotExtent(100).From+3)
		}},
		{"68 a bit behind a payload", 0, func(b *bad, one, _ segments.ID) {
			r := b.recs[one][0]
			b.flip(b.seg(one), r.Offset+int64(r.Length))
		}},
		{"69 a file that goes on", 0, func(b *bad, one, _ segments.ID) {
			b.patch(b.seg(one), 2<<20+1<<18, []byte("beyond what its header says"))
		}},
		{"72 a hole under a record", 1, func(b *bad, one, _ segments.ID) {
			b.segment(one, func(s *segments.Segment) error { return s.Punch(b.last(one).Offset, segments.BlockSize) })
		}},
		{"73 swapped", 0, func(b *bad, one, other segments.ID) {
			b.must(errors.Join(os.Rename(b.seg(one), b.path("x")), os.Rename(b.seg(other), b.seg(one)), os.Rename(b.path("x"), b.seg(other))))
		}},
		{"73 renamed, with a gap in the ids", 0, func(b *bad, one, _ segments.ID) { b.must(os.Rename(b.seg(one), b.seg(3000))) }},
		{"73 of another store", 0, func(b *bad, _, _ segments.ID) {
			o := newBad(b.t)
			p, err := os.ReadFile(o.seg(o.ids()[0]))
			b.must(errors.Join(err, os.WriteFile(b.seg(3000), p, 0o600)))
		}},
		{"73 of another store, in the place of one", 5, func(b *bad, one, _ segments.ID) {
			o := newBad(b.t)
			p, err := os.ReadFile(o.seg(one))
			b.must(errors.Join(err, os.Remove(b.seg(one)), os.WriteFile(b.seg(one), p, 0o600)))
		}},
		{"73 empty", 5, func(b *bad, one, _ segments.ID) { b.must(os.Truncate(b.seg(one), 0)) }},
		{"73 a FIFO in its place", 5, func(b *bad, one, _ segments.ID) {
			b.must(errors.Join(os.Remove(b.seg(one)), syscall.Mkfifo(b.seg(one), 0o600)))
		}},
		{"73 a folder in its place", 5, func(b *bad, one, _ segments.ID) {
			b.must(errors.Join(os.Remove(b.seg(one)), os.Mkdir(b.seg(one), 0o700)))
		}},
		{"a second copy of a segment", 0, func(b *bad, one, _ segments.ID) {
			p, err := os.ReadFile(b.seg(one))
			b.must(errors.Join(err, os.WriteFile(b.seg(3000), p, 0o600)))
		}},
	}
}

func badSlots() []badCase {
	le := binary.LittleEndian
	set := func(at int, v uint32) func([]byte) { return func(s []byte) { le.PutUint32(s[at:], v) } }
	return []badCase{
		// A slot that is not valid is taken from the index; one that is valid and wrong is believed, and its blob lost.
		{"68 a bit of a slot", 0, func(b *bad, one, _ segments.ID) { b.flip(b.seg(one), segments.SlotExtent(0).From+20) }},
		{"69 no length", 0, func(b *bad, one, _ segments.ID) { b.forge(b.recs[one][0], 0, set(64, 0)) }},
		{"69 the largest length", 0, func(b *bad, one, _ segments.ID) { b.forge(b.recs[one][0], 0, set(64, 1<<32-1)) }},
		{"69 a length that is wrong", 1, func(b *bad, one, _ segments.ID) { r := b.last(one); b.forge(r, r.Slot, set(64, r.Length-1)) }},
		{"69 past the end", 0, func(b *bad, one, _ segments.ID) { b.forge(b.recs[one][0], 0, set(60, 1<<31)) }},
		{"69 in the table", 0, func(b *bad, one, _ segments.ID) { b.forge(b.recs[one][0], 0, set(60, 1)) }},
		{"70 a record twice in one segment", 0, func(b *bad, one, _ segments.ID) {
			b.forge(b.recs[one][0], b.last(one).Slot+1, func([]byte) {})
		}},
		{"70 a record in two segments", 0, func(b *bad, one, other segments.ID) {
			from, last := b.recs[one][0], b.last(other)
			b.segment(other, func(s *segments.Segment) error {
				rec := from
				rec.Segment, rec.Slot, rec.Offset = other, last.Slot+1, last.Offset+segments.Blocks(last.Length)
				return s.Write(rec, b.all[from.Hash])
			})
		}},
		{"71 right CRC, wrong hash", 1, func(b *bad, one, _ segments.ID) {
			r := b.last(one)
			p := make([]byte, r.Length)
			b.patch(b.seg(one), r.Offset, p)
			b.forge(r, r.Slot, set(68, segments.Checksum(p)))
			r.CRC = segments.Checksum(p)
			b.rows(func(batch *index.Batch) { batch.Put(r.Hash, index.Entry{Location: r.Location, Seq: 1 << 50}) })
		}},
		{"slots that overlap", 1, func(b *bad, one, _ segments.ID) {
			r := b.last(one)
			b.forge(r, r.Slot+1, func(s []byte) { s[0] ^= 1 })
			r.Hash[0] ^= 1 // a blob that never was
			b.all[r.Hash] = nil
		}},
		{"rows to no segment", 1, func(b *bad, _, _ segments.ID) {
			h := blob.Sum([]byte("nowhere"))
			b.rows(func(batch *index.Batch) {
				batch.Put(h, index.Entry{Seq: 1 << 50, Location: segments.Location{Segment: 2000, Offset: 1 << 20, Length: 7}})
			})
			b.all[h] = []byte("nowhere")
		}},
		{"rows to no slot", 1, func(b *bad, one, _ segments.ID) {
			h := blob.Sum([]byte("nowhere"))
			b.rows(func(batch *index.Batch) {
				batch.Put(h, index.Entry{Seq: 1 << 50, Location: segments.Location{Segment: one, Slot: 90, Offset: 1 << 20, Length: 7}})
			})
			b.all[h] = []byte("nowhere")
		}},
		{"rows past the end", 1, func(b *bad, one, _ segments.ID) {
			h := blob.Sum([]byte("nowhere"))
			b.rows(func(batch *index.Batch) {
				batch.Put(h, index.Entry{Seq: 1 << 50, Location: segments.Location{Segment: one, Slot: 1 << 30, Offset: 1 << 42, Length: 7}})
			})
			b.all[h] = []byte("nowhere")
		}},
	}
}

func badFiles() []badCase {
	return []badCase{
		{"no superblock", 0, func(b *bad, _, _ segments.ID) { b.must(os.Remove(b.path("superblock"))) }},
		{"a damaged superblock", 0, func(b *bad, _, _ segments.ID) { b.flip(b.path("superblock"), 30) }},
		{"no segment", 5, func(b *bad, one, _ segments.ID) { b.must(os.Remove(b.seg(one))) }},
		{"no head of a segment", 0, func(b *bad, one, _ segments.ID) { b.patch(b.seg(one), 0, make([]byte, segments.HeaderSize)) }},
		{"no head and no table of a segment", 0, func(b *bad, one, _ segments.ID) {
			b.patch(b.seg(one), 0, make([]byte, 2*segments.HeaderSize))
		}},
		{"a foreign file among the segments", 0, func(b *bad, _, _ segments.ID) {
			b.must(os.WriteFile(b.path("segments", "notes.txt"), []byte("mine"), 0o600))
		}},
		{"a foreign file in the index", 0, func(b *bad, _, _ segments.ID) {
			b.must(os.WriteFile(b.path("index", "notes.txt"), []byte("mine"), 0o600))
		}},
	}
}

func badIndexes() []badCase {
	cut := func(pattern string) func(b *bad, _, _ segments.ID) {
		return func(b *bad, _, _ segments.ID) {
			path := b.index(pattern)
			info, err := os.Stat(path)
			b.must(errors.Join(err, os.Truncate(path, info.Size()/2)))
		}
	}
	gone := func(pattern string) func(b *bad, _, _ segments.ID) {
		return func(b *bad, _, _ segments.ID) { b.must(os.Remove(b.index(pattern))) }
	}
	flip := func(pattern string) func(b *bad, _, _ segments.ID) {
		return func(b *bad, _, _ segments.ID) { b.flip(b.index(pattern), 9) }
	}
	more := func(pattern string) func(b *bad, _, _ segments.ID) {
		return func(b *bad, _, _ segments.ID) {
			f, err := os.OpenFile(b.index(pattern), os.O_WRONLY|os.O_APPEND, 0)
			b.must(err)
			_, err = f.WriteString("what nobody wrote")
			b.must(errors.Join(err, f.Close()))
		}
	}
	var all []badCase
	for what, do := range map[string]func(string) func(*bad, segments.ID, segments.ID){"cut": cut, "missing": gone, "flipped": flip, "longer": more} {
		for name, pattern := range map[string]string{"manifest": "MANIFEST-*", "table": "*.sst", "log": "*.log", "options": "OPTIONS-*"} {
			if what == "missing" && (name == "log" || name == "options") {
				continue // an open needs neither after a good stop, and makes both
			}
			all = append(all, badCase{"75 " + name + " " + what, 0, do(pattern)})
		}
	}
	return append(all,
		badCase{"75 marker missing", 0, gone("marker.manifest*")},
		badCase{"76 of another comparer", 0, func(b *bad, _, _ segments.ID) {
			b.must(os.RemoveAll(b.path("index")))
			other := *pebble.DefaultComparer
			other.Name = "another order"
			db, err := pebble.Open(b.path("index"), &pebble.Options{
				Comparer: &other, FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion), Logger: quiet{},
			})
			b.must(err)
			b.must(db.Close())
		}},
		badCase{"77 an older index", 1, func(b *bad, _, _ segments.ID) {
			old := b.t.TempDir()
			b.copyTo(old, "index")
			e := b.open()
			for h := range b.all {
				b.must(e.Delete(b.t.Context(), h)) // the old index still has it
				break
			}
			b.must(e.Close())
			b.must(os.RemoveAll(b.path("index")))
			b.must(os.CopyFS(b.path("index"), os.DirFS(old)))
		}},
		badCase{"78 no index", 0, func(b *bad, _, _ segments.ID) { b.must(os.RemoveAll(b.path("index"))) }},
		badCase{"78 an empty index", 0, func(b *bad, _, _ segments.ID) {
			b.must(errors.Join(os.RemoveAll(b.path("index")), os.Mkdir(b.path("index"), 0o700)))
		}},
		badCase{"78 no segments", 10, func(b *bad, _, _ segments.ID) {
			for _, id := range b.ids() {
				b.must(os.Remove(b.seg(id)))
			}
		}},
	)
}

// quiet is a logger of Pebble's that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
