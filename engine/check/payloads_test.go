package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/segments"
)

// TestSegmentsAreCheckedWhateverElseIsDamaged: a mount without its superblock or its index has segments that speak for
// themselves.
func TestSegmentsAreCheckedWhateverElseIsDamaged(t *testing.T) {
	whole := memBed(t).build()
	payloads := []struct {
		name string
		do   func(b *bed)
		want found
		at   string
	}{
		{"nothing", func(*bed) {}, found{}, ""},
		{"payload", func(b *bed) { b.flip(b.path(2), b.recs[2][5].Offset+999_999) }, found{check.Payload: 1}, "payload 2:5 at "},
		{"unreadable", func(b *bed) { b.must(b.disk.FailReads(b.path(1), b.recs[1][4].Offset, 1)) }, found{check.Unreadable: 1}, "unreadable 1:4 at "},
		{"header", func(b *bed) { b.flip(b.path(2), 40) }, found{check.SegmentDamaged: 1}, "segment-damaged 2: "},
		{"swapped", func(b *bed) {
			b.must(errors.Join(b.fs.Rename(b.path(1), b.path(9)), b.fs.Rename(b.path(2), b.path(1)), b.fs.Rename(b.path(9), b.path(2))))
		}, found{check.SegmentDamaged: 2}, "segment-damaged 1: "},
	}
	remove := func(b *bed, dir string) {
		names, err := b.fs.List(dir)
		b.must(err)
		for _, name := range names {
			b.must(b.fs.Remove(filepath.Join(dir, name)))
		}
	}
	for name, lose := range map[string]struct {
		do   func(b *bed)
		want found
	}{
		"superblock damaged": {func(b *bed) { b.flip(filepath.Join(b.dir, "superblock"), 60) }, found{check.Superblock: 1}},
		"superblock lost":    {func(b *bed) { b.must(b.fs.Remove(filepath.Join(b.dir, "superblock"))) }, found{check.Superblock: 1}},
		"index lost":         {func(b *bed) { remove(b, filepath.Join(b.dir, "index")) }, found{check.Index: 1}},
		"index damaged":      {func(b *bed) { b.raw("s\xff1234567", "?") }, found{check.Index: 1}},
		"both lost": {func(b *bed) {
			dir := filepath.Join(b.dir, "index")
			remove(b, dir)
			b.must(errors.Join(b.fs.Remove(dir), b.fs.Remove(filepath.Join(b.dir, "superblock"))))
		}, found{check.Superblock: 1, check.Index: 1}},
	} {
		for _, p := range payloads {
			t.Run(name+", "+p.name, func(t *testing.T) {
				b := whole.clone(t)
				p.do(b)
				lose.do(b)
				before := tree(t, b.fs, filepath.Join(b.dir, "segments"))
				r := b.check(check.Options{Hashes: true})
				want := found{}
				for _, some := range []found{lose.want, p.want} {
					for k, n := range some {
						want[k] += n
					}
				}
				if fmt.Sprint(r.Found) != fmt.Sprint(want) || r.Pending != 0 {
					t.Errorf("found %v, %d pending; want %v\n%v", r.Found, r.Pending, want, r)
				}
				if p.at != "" && !slices.ContainsFunc(r.Findings, func(f check.Finding) bool { return strings.HasPrefix(f.String(), p.at) }) {
					t.Errorf("no finding begins %q\n%v", p.at, r)
				}
				if len(p.want) == 0 && r.Read != 10 {
					t.Errorf("%d payloads read, want 10", r.Read)
				}
				if after := tree(t, b.fs, filepath.Join(b.dir, "segments")); !slices.Equal(before, after) {
					t.Errorf("there was %v, there is %v", before, after)
				}
			})
		}
	}
}

// TestFindingsAreInOrder of segments and offsets, and as JSON they keep their names.
func TestFindingsAreInOrder(t *testing.T) {
	whole := memBed(t).build()
	var first check.Report
	for i := range 20 {
		b := whole.clone(t)
		for id := segments.ID(1); id <= 2; id++ {
			for slot, rec := range b.recs[id] {
				if live(uint32(slot)) {
					b.flip(b.path(id), rec.Offset)
				}
			}
		}
		f, err := b.fs.Create(filepath.Join(b.dir, "segments", "notes.txt"))
		b.must(errors.Join(err, f.Close()))
		r := b.check(check.Options{Hashes: true})
		if i == 0 {
			first = r
			if len(r.Findings) != 11 || r.Findings[0].Kind != check.ForeignFile {
				t.Fatal(r)
			}
			continue
		}
		if !reflect.DeepEqual(r, first) {
			t.Fatalf("%v\nand before\n%v", r, first)
		}
	}
	for i, f := range first.Findings[1:] {
		if before := first.Findings[i]; f.Segment < before.Segment || f.Segment == before.Segment && f.Offset <= before.Offset {
			t.Errorf("%v\nstands after\n%v", f, before)
		}
	}
	text, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	hash := first.Findings[1].Hash
	for _, want := range []string{
		`"good_stop":true`, `"segments":{"sealed":2}`, `"found":{"foreign-file":1,"payload":10}`,
		`{"kind":"foreign-file","slot":-1,"detail":`,
		fmt.Sprintf(`{"kind":"payload","segment":1,"slot":0,"offset":%d,"hash":"%s","detail":`, first.Findings[1].Offset, hash),
		`"repair":"repair drops the blob, and keeps a copy of what is there in quarantine"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// gate is a limit that lets nobody through once it is closed.
type gate struct {
	mu     sync.Mutex
	bytes  int
	most   int // at once
	closed error
}

func (g *gate) WaitN(_ context.Context, n int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes += n
	g.most = max(g.most, n)
	return g.closed
}

// TestTheLimitAndTheProgress hear of all that is read.
func TestTheLimitAndTheProgress(t *testing.T) {
	leaktest.Check(t)
	b := memBed(t).build()
	for name, o := range map[string]check.Options{"CRC": {Payloads: true}, "hashes": {Hashes: true}, "tables": {}} {
		t.Run(name, func(t *testing.T) {
			var g gate
			var done, total, before int64
			o.Limit = &g
			o.Progress = func(d, n int64) {
				if done, total = d, n; d < before {
					t.Errorf("%d after %d", d, before)
				}
				before = d
			}
			r := b.check(o)
			want := r.Blobs
			if o.Payloads || o.Hashes {
				want = r.Bytes
				if int64(g.bytes) < r.LiveBytes || g.most > 2<<20 {
					t.Errorf("the limit heard of %d bytes, %d at once; %d are live", g.bytes, g.most, r.LiveBytes)
				}
			}
			if !r.Clean() || done != want || total != want {
				t.Errorf("%d of %d, want %d\n%v", done, total, want, r)
			}
		})
	}
}

// TestAReaderThatCannotGoOnEndsTheCheck with its error, and leaves nothing behind.
func TestAReaderThatCannotGoOnEndsTheCheck(t *testing.T) {
	leaktest.Check(t)
	for _, b := range []*bed{osBed(t).build(), memBed(t).build()} {
		enough := errors.New("enough")
		for _, o := range []check.Options{{Payloads: true, Limit: &gate{closed: enough}}, {Hashes: true, Limit: &gate{closed: enough}}} {
			if _, err := check.Mount(t.Context(), b.fs, b.dir, o); !errors.Is(err, enough) {
				t.Errorf("%v, want %v", err, enough)
			}
		}
		if r := b.check(check.Options{Hashes: true}); !r.Clean() {
			t.Error(r)
		}
	}
}

// TestManySmallBlobs are read together, over gaps small and large, and each is named by itself.
func TestManySmallBlobs(t *testing.T) {
	leaktest.Check(t)
	b := osBed(t)
	b.recs = map[segments.ID][]segments.Record{}
	b.build()
	const blobs = 300
	s, err := segments.Create(b.fs, b.path(3), segments.Header{Mount: b.id, ID: 3, Capacity: 4 << 20})
	b.must(err)
	row := index.SegmentRow{ID: 3, State: index.StateSealed, Capacity: 4 << 20, Slots: blobs, Watermark: blobs}
	var recs []segments.Record
	for i := range blobs {
		p := fmt.Appendf(nil, "blob %d, which is not long", i)
		loc, _ := s.Reserve(uint32(len(p)))
		rec := segments.Record{Hash: blob.Sum(p), Location: loc, Seq: 1<<30 + uint64(i)}
		rec.CRC = segments.Checksum(p)
		b.must(s.Write(rec, p))
		recs = append(recs, rec)
	}
	dead := func(i int) bool { return i%5 == 0 || i >= 100 && i < 200 }
	for i, rec := range recs {
		if dead(i) {
			b.must(errors.Join(s.MarkDead(rec.Slot), s.Punch(rec.Offset, segments.BlockSize)))
		}
	}
	s.Seal()
	b.must(errors.Join(s.GiveBack(s.Tail()), s.Sync(), s.Close()))
	b.index(func(_ *index.Index, batch *index.Batch) {
		for i, rec := range recs {
			if !dead(i) {
				b.put(batch, rec)
				count(&row, rec, 1)
			}
		}
		batch.SetSegment(row)
	})
	for _, o := range []check.Options{{Payloads: true}, {Hashes: true}} {
		if r := b.check(o); !r.Clean() || r.Read != 10+row.LiveBlobs {
			t.Error(r)
		}
	}
	bad := []int{1, 99, 201, 299}
	for _, i := range bad {
		b.flip(b.path(3), recs[i].Offset+3)
	}
	for _, o := range []check.Options{{Payloads: true}, {Hashes: true}} {
		r := b.check(o)
		var got []int
		for _, f := range r.Findings {
			got = append(got, int(f.Slot))
		}
		if !slices.Equal(got, bad) || r.Found[check.Payload] != int64(len(bad)) {
			t.Errorf("slots %v, want %v\n%v", got, bad, r)
		}
	}
}

// TestLongPieces are two payloads of full length, read at once: the limit is asked in steps that it can give, and each payload
// is compared by itself. Two hundred that lie apart are more pieces than wait, so a run that ends has some to let go of.
func TestLongPieces(t *testing.T) {
	leaktest.Check(t)
	for what, c := range map[string]struct {
		blobs, size int
		apart       bool
	}{"long": {2, blob.MaxSize, false}, "many": {200, 4096, true}} {
		t.Run(what, func(t *testing.T) {
			b := osBed(t)
			b.recs = map[segments.ID][]segments.Record{}
			b.build()
			const capacity = 32 << 20
			s, err := segments.Create(b.fs, b.path(3), segments.Header{Mount: b.id, ID: 3, Capacity: capacity})
			b.must(err)
			row := index.SegmentRow{ID: 3, State: index.StateSealed, Capacity: capacity}
			var recs []segments.Record
			var gaps []segments.Location
			for i := range c.blobs {
				if c.apart {
					gap, ok := s.Reserve(100 << 10) // its slot is never written
					if !ok {
						t.Fatal("no room")
					}
					gaps = append(gaps, gap)
					row.Slots++
				}
				p := make([]byte, c.size)
				p[0], p[1] = byte(i), byte(i>>8)
				loc, ok := s.Reserve(uint32(c.size))
				if !ok {
					t.Fatal("no room")
				}
				row.Slots++
				rec := segments.Record{Hash: blob.Sum(p), Location: loc, Seq: 1<<30 + uint64(i)}
				rec.CRC = segments.Checksum(p)
				b.must(s.Write(rec, p))
				recs = append(recs, rec)
			}
			row.Watermark = row.Slots
			for _, gap := range gaps {
				b.must(s.Punch(gap.Offset, segments.Blocks(gap.Length)))
			}
			s.Seal()
			b.must(errors.Join(s.GiveBack(s.Tail()), s.Sync(), s.Close()))
			b.index(func(_ *index.Index, batch *index.Batch) {
				for _, rec := range recs {
					b.put(batch, rec)
					count(&row, rec, 1)
				}
				batch.SetSegment(row)
			})
			last := recs[len(recs)-1]
			b.flip(b.path(3), last.Offset+3)
			var g gate
			r := b.check(check.Options{Payloads: true, Limit: &g})
			if len(r.Findings) != 1 || r.Findings[0].Hash != last.Hash || r.Found[check.Payload] != 1 {
				t.Errorf("want one finding, of %s\n%v", last.Hash.Short(), r)
			}
			if g.most > blob.MaxSize || g.bytes < c.blobs*c.size || c.size == blob.MaxSize && g.most != blob.MaxSize {
				t.Errorf("the limit heard of %d bytes, %d at once", g.bytes, g.most)
			}
			enough := errors.New("enough")
			for _, o := range []check.Options{{Payloads: true}, {Hashes: true}} {
				o.Limit = &gate{closed: enough}
				if _, err := check.Mount(t.Context(), b.fs, b.dir, o); !errors.Is(err, enough) {
					t.Errorf("%v, want %v", err, enough)
				}
			}
		})
	}
}
