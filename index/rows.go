package index

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// Entry is what the index knows of one blob. An Entry of the sharded mode has no place: Segment, Slot, Offset and CRC
// are 0.
type Entry struct {
	segments.Location
	Seq  uint64 // where the blob stands in the eviction order; no two blobs have the same
	Kind blob.Kind
}

// State is where in its life a segment is. The numbers are on disk.
type State uint8

// The states.
const (
	StateActive State = 0 // it is written to
	StateSealed State = 1 // it is not written to any more
	StateDoomed State = 2 // no live records are left; it is to be unlinked
	StateFailed State = 3 // a sync of it failed: sealed, and nothing in it is trusted without its CRC
)

// String is the state's name in logs.
func (s State) String() string {
	switch s {
	case StateActive:
		return "active"
	case StateSealed:
		return "sealed"
	case StateDoomed:
		return "doomed"
	case StateFailed:
		return "failed"
	}
	return "unknown"
}

// MarshalText is String, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(text []byte) error {
	for *s = StateActive; *s <= StateFailed; *s++ {
		if s.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("index: %q is no state of a segment", text)
}

// SegmentRow is what the index knows of one segment.
type SegmentRow struct {
	ID        segments.ID
	State     State
	Capacity  int64  // payload bytes that are preallocated while it is active
	Slots     uint32 // records written, once it is sealed; 0 while it is active
	LiveBlobs int64
	LiveBytes int64  // payload bytes as they are charged: segments.Blocks of each length
	SDBytes   int64  // of LiveBytes, those of SD blobs
	Watermark uint32 // every slot below it is durable and, if it is live, indexed
}

// Meta is what the index knows of the mount.
type Meta struct {
	NextSegment segments.ID // no segment of this number or above was ever made
	NextSeq     uint64      // lower bound of the next sequence number
	Session     [16]byte    // which run of the program wrote it
	Clean       bool        // that run ended in good order
}

// OrderRow is one blob in the eviction order.
type OrderRow struct {
	Seq     uint64
	Segment segments.ID
	Slot    uint32
	Hash    blob.Hash // of rows with Segment 0 only: the others are named by their slot
}

// The first byte of a key says what kind of row it is.
const (
	tagBlob      = 'b'
	tagMeta      = 'm'
	tagOrder     = 'o'
	tagSegment   = 's'
	tagTombstone = 't'
)

const (
	// metaVersion is the version of all rows: the first byte of the meta row.
	metaVersion = 1

	blobKeySize      = 1 + blob.HashSize
	orderKeySize     = 1 + 8
	segmentKeySize   = 1 + 8
	tombstoneKeySize = 1 + 8 + 4
	metaSize         = 1 + 8 + 8 + 16 + 1

	// maxRow bounds every key and every value; the longest are a blob's key and an order row with a hash.
	maxRow = 64
)

func appendBlobKey(b []byte, h *blob.Hash) []byte { return append(append(b, tagBlob), h[:]...) }

func appendOrderKey(b []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, tagOrder), seq)
}

func appendSegmentKey(b []byte, id segments.ID) []byte {
	return binary.BigEndian.AppendUint64(append(b, tagSegment), uint64(id))
}

func appendTombstoneKey(b []byte, id segments.ID, slot uint32) []byte {
	b = binary.BigEndian.AppendUint64(append(b, tagTombstone), uint64(id))
	return binary.BigEndian.AppendUint32(b, slot)
}

func metaKey() []byte { return []byte{tagMeta} }

// check says why e cannot be a row, or nothing.
func (e *Entry) check() string {
	switch {
	case e.Length == 0 || e.Length > blob.MaxSize:
		return "length out of range"
	case e.Kind > blob.KindSD:
		return "unknown kind"
	case e.Offset < 0 || e.Offset%segments.BlockSize != 0:
		return "offset is not at a block"
	case e.Segment == 0 && (e.Slot != 0 || e.Offset != 0 || e.CRC != 0):
		return "a place without a segment"
	}
	return ""
}

func appendEntry(b []byte, e *Entry) []byte {
	b = binary.AppendUvarint(b, uint64(e.Segment))
	b = binary.AppendUvarint(b, e.Seq)
	b = binary.AppendUvarint(b, uint64(e.Length)<<1|uint64(e.Kind))
	if e.Segment == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(e.Slot))
	b = binary.AppendUvarint(b, uint64(e.Offset/segments.BlockSize))
	return binary.LittleEndian.AppendUint32(b, e.CRC)
}

// decodeEntry reads the value of a blob row.
func decodeEntry(v []byte) (Entry, string) {
	var e Entry
	r := reader{buf: v}
	e.Segment = segments.ID(r.uvarint(math.MaxUint64))
	e.Seq = r.uvarint(math.MaxUint64)
	size := r.uvarint(blob.MaxSize<<1 | 1)
	e.Length, e.Kind = uint32(size>>1), blob.Kind(size&1)
	if e.Segment != 0 {
		e.Slot = uint32(r.uvarint(math.MaxUint32))
		e.Offset = int64(r.uvarint(math.MaxInt64/segments.BlockSize)) * segments.BlockSize
		e.CRC = r.uint32()
	}
	if why := r.end(); why != "" {
		return Entry{}, why
	}
	return e, e.check()
}

func appendOrder(b []byte, h *blob.Hash, e *Entry) []byte {
	b = binary.AppendUvarint(b, uint64(e.Segment))
	if e.Segment == 0 {
		return append(b, h[:]...)
	}
	return binary.AppendUvarint(b, uint64(e.Slot))
}

// decodeOrder reads an order row into o.
func decodeOrder(key, v []byte, o *OrderRow) string {
	if len(key) != orderKeySize || key[0] != tagOrder {
		return "not the key of an order row"
	}
	r := reader{buf: v}
	*o = OrderRow{Seq: binary.BigEndian.Uint64(key[1:])}
	o.Segment = segments.ID(r.uvarint(math.MaxUint64))
	if o.Segment == 0 {
		r.bytes(o.Hash[:])
	} else {
		o.Slot = uint32(r.uvarint(math.MaxUint32))
	}
	return r.end()
}

// check says why s cannot be a row, or nothing.
func (s *SegmentRow) check() string {
	switch {
	case s.ID == 0:
		return "segment 0"
	case s.State > StateFailed:
		return "unknown state"
	case s.Capacity < 0 || s.LiveBlobs < 0 || s.LiveBytes < 0 || s.SDBytes < 0:
		return "negative count"
	}
	return ""
}

func appendSegment(b []byte, s *SegmentRow) []byte {
	b = append(b, byte(s.State))
	for _, n := range []uint64{
		uint64(s.Capacity), uint64(s.Slots), uint64(s.LiveBlobs), uint64(s.LiveBytes), uint64(s.SDBytes), uint64(s.Watermark),
	} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// decodeSegment reads a segment row.
func decodeSegment(key, v []byte) (SegmentRow, string) {
	if len(key) != segmentKeySize || key[0] != tagSegment {
		return SegmentRow{}, "not the key of a segment row"
	}
	r := reader{buf: v}
	s := SegmentRow{ID: segments.ID(binary.BigEndian.Uint64(key[1:])), State: State(r.byte())}
	s.Capacity = int64(r.uvarint(math.MaxInt64))
	s.Slots = uint32(r.uvarint(math.MaxUint32))
	s.LiveBlobs = int64(r.uvarint(math.MaxInt64))
	s.LiveBytes = int64(r.uvarint(math.MaxInt64))
	s.SDBytes = int64(r.uvarint(math.MaxInt64))
	s.Watermark = uint32(r.uvarint(math.MaxUint32))
	if why := r.end(); why != "" {
		return SegmentRow{}, why
	}
	return s, s.check()
}

// decodeTombstone reads the key of a tombstone, which has no value.
func decodeTombstone(key, v []byte) (segments.ID, uint32, string) {
	switch {
	case len(key) != tombstoneKeySize || key[0] != tagTombstone:
		return 0, 0, "not the key of a tombstone"
	case len(v) != 0:
		return 0, 0, "a tombstone with a value"
	}
	return segments.ID(binary.BigEndian.Uint64(key[1:])), binary.BigEndian.Uint32(key[9:]), ""
}

func appendMeta(b []byte, m *Meta) []byte {
	b = append(b, metaVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.NextSegment))
	b = binary.LittleEndian.AppendUint64(b, m.NextSeq)
	b = append(b, m.Session[:]...)
	if m.Clean {
		return append(b, 1)
	}
	return append(b, 0)
}

// decodeMeta reads the meta row. newer says that a later version wrote it, of which nothing else is known.
func decodeMeta(v []byte) (m Meta, newer bool, why string) {
	switch {
	case len(v) > 0 && v[0] > metaVersion:
		return Meta{}, true, ""
	case len(v) != metaSize || v[0] != metaVersion:
		return Meta{}, false, "wrong size or version"
	case v[metaSize-1] > 1:
		return Meta{}, false, "clean is neither 0 nor 1"
	}
	m.NextSegment = segments.ID(binary.LittleEndian.Uint64(v[1:]))
	m.NextSeq = binary.LittleEndian.Uint64(v[9:])
	copy(m.Session[:], v[17:])
	m.Clean = v[metaSize-1] == 1
	return m, false, ""
}
