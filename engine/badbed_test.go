package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// badBed is a mount that is going to be damaged.
type badBed struct {
	t     *testing.T
	disk  *crashfs.FS
	blobs []blob.Verified
	recs  []segments.Record // of the blobs, by their numbers
	stays []check.Kind      // what the checker still finds once the damage was dealt with
}

// bedSizes are the blobs of a bed: the first three lie in one segment, the others in the next.
var bedSizes = [...]int{5000, 70_000, 1 << 20, 1 << 20, 3, 100}

func bedOptions(fs *crashfs.FS) engine.Options {
	o := enginetest.Options(fs, engine.SyncAlways, false, 0)
	o.ActiveSegments = 1
	return o
}

// newBad makes a mount with bedSizes blobs, and stops it in good order, or not.
func newBad(t *testing.T, goodStop bool) *badBed {
	t.Helper()
	b := &badBed{t: t, disk: mountFS(t)}
	e, err := engine.Open(t.Context(), bedOptions(b.disk))
	b.must(err)
	for i, n := range bedSizes {
		v := enginetest.BlobOf(99, i, n)
		mustPut(t, e, v)
		b.blobs = append(b.blobs, v)
	}
	disk := b.disk
	if !goodStop {
		disk, _ = b.disk.Cut(1) // what was put is durable; what the engine would do next is not done
	}
	b.must(e.Close())
	b.disk = disk
	b.recs = b.records()
	return b
}

func (b *badBed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// clone is the same mount again, to be damaged in another way.
func (b *badBed) clone() *badBed {
	c := *b
	c.disk, _ = b.disk.Cut(0)
	return &c
}

func (b *badBed) segPath(name string) string { return filepath.Join(enginetest.Dir, "segments", name) }

// path is where record i lies.
func (b *badBed) path(i int) string {
	return b.segPath(fmt.Sprintf("%016x.seg", uint64(b.recs[i].Segment)))
}

func (b *badBed) list(dir string) []string {
	b.t.Helper()
	names, err := b.disk.List(filepath.Join(enginetest.Dir, dir))
	b.must(err)
	return names
}

// records finds the blobs' records.
func (b *badBed) records() []segments.Record {
	b.t.Helper()
	out := make([]segments.Record, len(b.blobs))
	for _, name := range b.list("segments") {
		h := b.header(b.segPath(name))
		s := segments.At(b.disk, b.segPath(name), h.Mount, h.ID)
		_, err := s.Scan(0, func(rec segments.Record) error {
			for i, v := range b.blobs {
				if v.Hash() == rec.Hash {
					out[i] = rec
				}
			}
			return nil
		})
		b.must(errors.Join(err, s.Close()))
	}
	for i, rec := range out {
		if rec.Length == 0 {
			b.t.Fatalf("blob %d has no record", i)
		}
	}
	if out[0].Segment == out[5].Segment {
		b.t.Fatal("all records are in one segment")
	}
	return out
}

func (b *badBed) header(path string) segments.Header {
	b.t.Helper()
	h, err := segments.ParseHeader(b.read(path)[:segments.HeaderSize])
	b.must(err)
	return h
}

// read is a whole file.
func (b *badBed) read(path string) []byte {
	b.t.Helper()
	f, err := b.disk.Open(path, false)
	b.must(err)
	n, err := f.Size()
	b.must(err)
	p := make([]byte, n)
	if _, err := f.ReadAt(p, 0); err != io.EOF {
		b.must(err)
	}
	b.must(f.Close())
	return p
}

// write patches a file, which is made when it is missing.
func (b *badBed) write(path string, off int64, p []byte) {
	b.t.Helper()
	f, err := b.disk.Open(path, true)
	if err != nil {
		f, err = b.disk.Create(path)
	}
	b.must(err)
	_, err = f.WriteAt(p, off)
	b.must(errors.Join(err, f.Sync(), f.Close()))
}

func (b *badBed) flip(path string, off int64, bit int) {
	b.t.Helper()
	b.write(path, off, []byte{b.read(path)[off] ^ 1<<bit})
}

func (b *badBed) truncate(path string, n int64) {
	b.t.Helper()
	f, err := b.disk.Open(path, true)
	b.must(err)
	b.must(errors.Join(f.Truncate(n), f.Sync(), f.Close()))
}

// slotOff is where the slot of record i stands.
func (b *badBed) slotOff(i int) int64 {
	return segments.HeaderSize + int64(b.recs[i].Slot)*segments.SlotSize
}

// forge changes bytes of record i's slot and makes its checksum right.
func (b *badBed) forge(i int, change func(slot []byte)) {
	b.t.Helper()
	path := b.path(i)
	h := b.header(path)
	slot := b.read(path)[b.slotOff(i):][:segments.SlotSize]
	change(slot)
	sum := append([]byte{}, h.Mount[:]...)
	sum = binary.LittleEndian.AppendUint64(sum, uint64(h.ID))
	sum = binary.LittleEndian.AppendUint32(sum, b.recs[i].Slot)
	sum = append(sum, slot[:72]...)
	binary.LittleEndian.PutUint32(slot[72:], crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli)))
	b.write(path, b.slotOff(i), slot)
}

// loseIndex removes the index, so that it has to be rebuilt.
func (b *badBed) loseIndex() {
	b.t.Helper()
	for _, name := range b.list("index") {
		b.must(b.disk.Remove(filepath.Join(enginetest.Dir, "index", name)))
	}
}

// but are the numbers of all blobs but those.
func (b *badBed) but(lost ...int) []int {
	b.t.Helper()
	var out []int
next:
	for i := range b.blobs {
		for _, k := range lost {
			if i == k {
				continue next
			}
		}
		out = append(out, i)
	}
	return out
}

// serves opens the mount, twice: each time whatever is asked returns, the blobs `whole` are there, no other has wrong
// bytes, and a new blob can be put. Then the checker finds nothing but what stays. It returns which blobs were there in
// the end.
func (b *badBed) serves(what string, whole []int) []int {
	b.t.Helper()
	var there []int
	for round := range 2 {
		var e *engine.Engine
		var err error
		answers(b.t, what+": open", func() { e, err = engine.Open(context.Background(), bedOptions(b.disk)) })
		if err != nil {
			b.t.Fatalf("%s: open: %v", what, err)
		}
		answers(b.t, what+": recovery", func() { err = e.WaitRecovered(context.Background()) })
		b.must(err)
		there = b.look(what, e)
		for _, i := range whole {
			if !has(there, i) {
				b.t.Errorf("%s: opening %d: blob %d is lost, which was not damaged", what, round+1, i)
			}
		}
		for i, v := range b.blobs {
			// What cannot be read for another reason than the record keeps its row.
			if !has(there, i) && !slices.Contains(b.stays, check.SegmentDamaged) {
				eventually(b.t, what+": the row to be dropped", func() bool {
					known, err := e.Has(context.Background(), v.Hash())
					return !known && err == nil
				})
			}
		}
		answers(b.t, what+": put", func() {
			v := enginetest.BlobOf(100, round, 3000)
			mustPut(b.t, e, v)
			mustGet(b.t, e, v)
		})
		answers(b.t, what+": close", func() { err = e.Close() })
		if err != nil {
			b.t.Errorf("%s: close: %v", what, err)
		}
	}
	r, err := check.Mount(b.t.Context(), b.disk, enginetest.Dir, check.Options{Payloads: true})
	for kind := range r.Found {
		if !slices.Contains(b.stays, kind) {
			err = errors.Join(err, fmt.Errorf("%s", kind))
		}
	}
	if err != nil {
		b.t.Errorf("%s: the checker says %v\n%v", what, err, r)
	}
	return there
}

// look asks for every blob, twice: what was not whole the first time is not there the second time either.
func (b *badBed) look(what string, e *engine.Engine) []int {
	b.t.Helper()
	var there []int
	answers(b.t, what+": get", func() {
		for range 2 {
			there = nil
			for i, v := range b.blobs {
				h, err := e.Get(context.Background(), v.Hash())
				if errors.Is(err, blob.ErrNotFound) {
					continue
				}
				if err != nil {
					b.t.Errorf("%s: get %d: %v", what, i, err)
					continue
				}
				var got strings.Builder
				if _, err := h.WriteTo(&got); err != nil || got.String() != string(v.Bytes()) {
					b.t.Errorf("%s: blob %d has WRONG BYTES (%v)", what, i, err)
				}
				h.Release()
				there = append(there, i)
			}
		}
	})
	return there
}

func has(list []int, i int) bool {
	for _, k := range list {
		if k == i {
			return true
		}
	}
	return false
}
