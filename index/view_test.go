package index_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
)

// viewed is what a dump held.
type viewed struct {
	meta   index.Meta
	known  bool
	segs   []index.SegmentRow
	blobs  map[blob.Hash]index.Entry
	orders map[uint64]bool
}

func readDump(p []byte) (v viewed, err error) {
	d := index.NewDump(bytes.NewReader(p))
	v.blobs, v.orders = map[blob.Hash]index.Entry{}, map[uint64]bool{}
	if v.meta, v.known, err = d.Meta(); err != nil {
		return v, err
	}
	if v.segs, err = d.Segments(); err != nil {
		return v, err
	}
	if err = d.All(func(h blob.Hash, e index.Entry) error { v.blobs[h] = e; return nil }); err != nil {
		return v, err
	}
	return v, d.Order(func(o index.OrderRow) error { v.orders[o.Seq] = true; return nil })
}

// TestViewKeepsItsMoment changes the index under a view.
func TestViewKeepsItsMoment(t *testing.T) {
	const n = 5000
	x := openMem(t, index.Options{})
	fill(t, x, 0, n)
	b := x.NewBatch()
	b.SetMeta(index.Meta{NextSeq: 77})
	b.SetSegment(index.SegmentRow{ID: 5, State: index.StateSealed, LiveBlobs: 3})
	b.Tombstone(5, 9)
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	v, err := x.View()
	if err != nil {
		t.Fatal(err)
	}
	b = x.NewBatch()
	for i := range n / 2 {
		b.Delete(hashOf(i), entryOf(i))
	}
	b.SetMeta(index.Meta{NextSeq: 78})
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	fill(t, x, n, n+100)
	var out bytes.Buffer
	if wrote, err := v.WriteTo(&out); err != nil || wrote != int64(out.Len()) {
		t.Fatal(wrote, out.Len(), err)
	}
	if err := errors.Join(v.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := readDump(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !got.known || got.meta.NextSeq != 77 || len(got.segs) != 1 || got.segs[0].LiveBlobs != 3 {
		t.Errorf("%+v", got)
	}
	if len(got.blobs) != n || len(got.orders) != n {
		t.Fatalf("%d blobs and %d in the order, want %d", len(got.blobs), len(got.orders), n)
	}
	for i := range n {
		if got.blobs[hashOf(i)] != entryOf(i) || !got.orders[entryOf(i).Seq] {
			t.Fatalf("blob %d is not what it was", i)
		}
	}
}

// TestDumpIsWholeOrAnError cuts a dump everywhere, and flips its bytes.
func TestDumpIsWholeOrAnError(t *testing.T) {
	x := openMem(t, index.Options{})
	fill(t, x, 0, 20)
	whole := dump(t, x)
	for n := range whole {
		if _, err := readDump(whole[:n]); !errors.Is(err, index.ErrDump) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	for i := range whole { // a flipped byte may be another row that can be: what counts is that it ends, without a panic
		whole[i] ^= 0x55
		_, _ = readDump(whole)
		whole[i] ^= 0x55
	}
	if _, err := readDump([]byte("HTTP/1.1 400 Bad Request\r\n")); !errors.Is(err, index.ErrDump) {
		t.Error(err)
	}
}

// TestViewEndsWithItsIndex closes the index under views.
func TestViewEndsWithItsIndex(t *testing.T) {
	x := openMem(t, index.Options{})
	fill(t, x, 0, 20)
	v, err := x.View()
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := v.WriteTo(&out); !errors.Is(err, index.ErrClosed) {
		t.Errorf("a view of a closed index: %v", err)
	}
	if _, err := readDump(out.Bytes()); !errors.Is(err, index.ErrDump) {
		t.Errorf("its dump: %v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if _, err := x.View(); !errors.Is(err, index.ErrClosed) {
		t.Errorf("a view of a closed index: %v", err)
	}
}
