package index

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// goldenHash is 00 01 02 … 2f.
func goldenHash() blob.Hash {
	var h blob.Hash
	for i := range h {
		h[i] = byte(i)
	}
	return h
}

const goldenHashHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"

func goldenEntry() Entry {
	return Entry{
		Location: segments.Location{Segment: 300, Slot: 0x1234, Offset: 0x1450 * 4096, Length: blob.MaxSize, CRC: 0xdeadbeef},
		Seq:      0x0102030405,
		Kind:     blob.KindSD,
	}
}

// The bytes of every kind of row. A change of any of them is a change of the format on disk.
func TestGoldenRows(t *testing.T) {
	h, e := goldenHash(), goldenEntry()
	sharded := Entry{Location: segments.Location{Length: 4096}, Seq: 7}
	seg := SegmentRow{
		ID: 0x0a0b, State: StateFailed, Capacity: 1 << 30, Slots: 300, LiveBlobs: 200, LiveBytes: 4096 * 200,
		SDBytes: 4096, Watermark: 128,
	}
	meta := Meta{NextSegment: 0x11, NextSeq: 0x2233, Session: [16]byte{1, 15: 16}, Clean: true}
	for _, c := range []struct {
		what string
		got  []byte
		want string
	}{
		{"blob key", appendBlobKey(nil, &h), "62" + goldenHashHex},
		{"blob row", appendEntry(nil, &e), "ac02 85888c9010 81808002 b424 d028 efbeadde"},
		{"blob row, sharded", appendEntry(nil, &sharded), "00 07 8040"},
		{"order key", appendOrderKey(nil, e.Seq), "6f 0000000102030405"},
		{"order row", appendOrder(nil, &h, &e), "ac02 b424"},
		{"order row, sharded", appendOrder(nil, &h, &sharded), "00" + goldenHashHex},
		{"segment key", appendSegmentKey(nil, seg.ID), "73 0000000000000a0b"},
		{"segment row", appendSegment(nil, &seg), "03 8080808004 ac02 c801 808032 8020 8001"},
		{"tombstone key", appendTombstoneKey(nil, seg.ID, 0x0c), "74 0000000000000a0b 0000000c"},
		{"meta key", metaKey(), "6d"},
		{"meta row", appendMeta(nil, &meta), "01 1100000000000000 3322000000000000 01000000000000000000000000000010 01"},
	} {
		if got, want := hex.EncodeToString(c.got), strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%s: %s, want %s", c.what, got, want)
		}
	}
	if FormatVersion != 21 {
		t.Errorf("Pebble's format is %d", FormatVersion)
	}
}

// TestBadRows breaks rows one rule at a time; each is refused.
func TestBadRows(t *testing.T) {
	h, e := goldenHash(), goldenEntry()
	good := appendEntry(nil, &e)
	entry := func(v []byte) string { _, why := decodeEntry(v); return why }
	change := func(v []byte, at int, to byte) []byte {
		v = bytes.Clone(v)
		v[at] = to
		return v
	}
	with := func(f func(*Entry)) []byte {
		bad := e
		f(&bad)
		return appendEntry(nil, &bad)
	}
	orderOf := func(k, v []byte) string { var o OrderRow; return decodeOrder(k, v, &o) }
	key := appendOrderKey(nil, 5)
	seg := SegmentRow{ID: 9}
	segKey, segVal := appendSegmentKey(nil, 9), appendSegment(nil, &seg)
	segment := func(k, v []byte) string { _, why := decodeSegment(k, v); return why }
	tomb := func(k, v []byte) string { _, _, why := decodeTombstone(k, v); return why }
	meta := appendMeta(nil, &Meta{})
	metaOf := func(v []byte) string { _, _, why := decodeMeta(v); return why }

	for what, why := range map[string]string{
		"empty":                      entry(nil),
		"a byte too many":            entry(append(bytes.Clone(good), 0)),
		"a byte short":               entry(good[:len(good)-1]),
		"no length":                  entry(with(func(e *Entry) { e.Length = 0 })),
		"too long":                   entry(with(func(e *Entry) { e.Length = blob.MaxSize + 1 })),
		"a long form of a number":    entry(append([]byte{0x81, 0x00}, good...)),
		"slot beyond 32 bits":        entry([]byte{1, 1, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 0, 0, 0, 0}),
		"offset beyond 63 bits":      entry([]byte{1, 1, 2, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0, 0, 0}),
		"sharded with a tail":        entry([]byte{0, 7, 2, 1}),
		"order key of another kind":  orderOf(segKey, []byte{1, 1}),
		"order key cut":              orderOf(key[:8], []byte{1, 1}),
		"order row cut":              orderOf(key, []byte{1}),
		"order row with a tail":      orderOf(key, []byte{1, 1, 1}),
		"order row with half a hash": orderOf(key, append([]byte{0}, h[:20]...)),
		"segment 0":                  segment(appendSegmentKey(nil, 0), segVal),
		"unknown state":              segment(segKey, change(segVal, 0, 4)),
		"segment row cut":            segment(segKey, segVal[:5]),
		"segment key of another":     segment(key, segVal),
		"capacity beyond 63 bits": segment(segKey, []byte{
			0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0, 0, 0, 0, 0,
		}),
		"tombstone with a value": tomb(appendTombstoneKey(nil, 1, 1), []byte{1}),
		"tombstone key cut":      tomb(appendTombstoneKey(nil, 1, 1)[:12], nil),
		"meta cut":               metaOf(meta[:20]),
		"meta of version 0":      metaOf(change(meta, 0, 0)),
		"meta unclear":           metaOf(change(meta, metaSize-1, 2)),
	} {
		if why == "" {
			t.Errorf("%s: taken for a good row", what)
		}
	}
	if _, newer, why := decodeMeta([]byte{2}); !newer || why != "" {
		t.Errorf("meta of version 2: newer %v, %q", newer, why)
	}
}

// TestBadRowsInTheDatabase: a row that does not hold what it must is ErrCorrupt with its key, wherever it is read, and
// the rows beside it can still be had.
func TestBadRowsInTheDatabase(t *testing.T) {
	x, err := Open(Options{FS: vfs.NewMem(), Dir: "index"})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	h := goldenHash()
	good, bad := h, h
	bad[0] = 0xff
	b := x.NewBatch()
	b.Put(good, goldenEntry())
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{
		appendBlobKey(nil, &bad), appendOrderKey(nil, math.MaxUint64), appendSegmentKey(nil, 3),
		append(appendTombstoneKey(nil, 4, 1), 0), metaKey(),
	} {
		if err := x.db.Set(key, []byte{0xff}, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := x.Get(good); err != nil {
		t.Fatal(err)
	}
	_, errCursor := x.Cursor(0)
	_, errGet := x.Get(bad)
	_, errSegments := x.Segments()
	_, errTombstones := x.Tombstones(4)
	_, _, errMeta := x.Meta()
	for what, err := range map[string]error{
		"get":      errGet,
		"all":      x.All(func(blob.Hash, Entry) error { return nil }),
		"cursor":   errCursor,
		"segments": errSegments, "tombstones": errTombstones,
	} {
		var row *RowError
		if !errors.Is(err, ErrCorrupt) || !errors.As(err, &row) || len(row.Key) == 0 {
			t.Errorf("%s: %v, want ErrCorrupt with a key", what, err)
		}
	}
	if !errors.Is(errMeta, ErrNewerFormat) { // 0xff is a version to come
		t.Errorf("meta: %v", errMeta)
	}
}

func FuzzEntry(f *testing.F) {
	e := goldenEntry()
	f.Add(appendEntry(nil, &e))
	f.Add([]byte{0, 7, 2})
	f.Fuzz(func(t *testing.T, v []byte) {
		e, why := decodeEntry(v)
		if why == "" && !bytes.Equal(appendEntry(nil, &e), v) {
			t.Fatalf("%x is %+v, which is written as %x", v, e, appendEntry(nil, &e))
		}
		if why == "" && (e.Length == 0 || e.Length > blob.MaxSize || e.Offset < 0 || e.Kind > blob.KindSD) {
			t.Fatalf("%x is %+v", v, e)
		}
	})
}

func FuzzOrder(f *testing.F) {
	h, e := goldenHash(), goldenEntry()
	f.Add(appendOrderKey(nil, e.Seq), appendOrder(nil, &h, &e))
	e.Segment = 0
	f.Add(appendOrderKey(nil, 0), appendOrder(nil, &h, &e))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		var o OrderRow
		if decodeOrder(k, v, &o) != "" {
			return
		}
		e := Entry{Location: segments.Location{Segment: o.Segment, Slot: o.Slot}}
		if !bytes.Equal(appendOrderKey(nil, o.Seq), k) || !bytes.Equal(appendOrder(nil, &o.Hash, &e), v) {
			t.Fatalf("%x %x is %+v", k, v, o)
		}
	})
}

func FuzzSegment(f *testing.F) {
	s := SegmentRow{ID: 1, State: StateSealed, Capacity: 1 << 30, Slots: 5, LiveBlobs: 4, LiveBytes: 1 << 20, SDBytes: 4096, Watermark: 5}
	f.Add(appendSegmentKey(nil, s.ID), appendSegment(nil, &s))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		s, why := decodeSegment(k, v)
		if why == "" && (!bytes.Equal(appendSegmentKey(nil, s.ID), k) || !bytes.Equal(appendSegment(nil, &s), v)) {
			t.Fatalf("%x %x is %+v", k, v, s)
		}
	})
}

func FuzzTombstone(f *testing.F) {
	f.Add(appendTombstoneKey(nil, 1, 2), []byte(nil))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		seg, slot, why := decodeTombstone(k, v)
		if why == "" && (!bytes.Equal(appendTombstoneKey(nil, seg, slot), k) || len(v) > 0) {
			t.Fatalf("%x %x is %d %d", k, v, seg, slot)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(appendMeta(nil, &Meta{NextSegment: 1, NextSeq: 2, Clean: true}))
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, v []byte) {
		m, newer, why := decodeMeta(v)
		if why == "" && !newer && !bytes.Equal(appendMeta(nil, &m), v) {
			t.Fatalf("%x is %+v", v, m)
		}
	})
}
