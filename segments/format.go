package segments

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/prefetch"
)

// Sizes of the format, in bytes.
const (
	HeaderSize = BlockSize
	SlotSize   = 76
)

// Version is the format version that this package writes, and the newest that it reads.
const Version = 1

const (
	magic       = "PRISMSEG"
	headerCRCAt = 72
	slotCRCAt   = 72
	lengthBits  = 22
	kindShift   = lengthBits
	deadBit     = 1 << 24
	knownMeta   = deadBit<<1 - 1
	maxCapacity = 1 << 40
	tableAlign  = BlockSize
)

// The ways in which a segment is refused.
var (
	// ErrBadHeader: the header is torn, foreign, or of another mount or segment.
	ErrBadHeader = errors.New("bad segment header")
	// ErrNewerVersion: the segment was written by a newer Prism; it is left alone.
	ErrNewerVersion = errors.New("segment format is newer than this program")
	// ErrBadSlot: the slot is not valid, by the rules of the package comment.
	ErrBadSlot = errors.New("bad segment slot")
)

// castagnoli is the polynomial of CRC32C, which processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC32C of a payload.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// ChecksumRead is Checksum of bytes that a device has just put into memory, perhaps far from this processor's caches: it
// asks for them a little ahead, which makes no other difference.
func ChecksumRead(p []byte) (crc uint32) {
	const ahead = 4096 // bytes; more leave the nearest cache before their turn, less do not keep the processor busy
	for len(p) > 0 {
		n := min(ahead, len(p))
		prefetch.Stream(p[:n])
		crc = crc32.Update(crc, castagnoli, p[:n])
		p = p[n:]
	}
	return crc
}

// Header is what a segment says of itself.
type Header struct {
	Mount    [16]byte // id of the mount it belongs to
	ID       ID
	Capacity int64  // payload bytes
	Created  uint64 // Unix seconds
}

// Slots is the number of slots in the table.
func (h Header) Slots() uint32 { return uint32(h.Capacity / BlockSize) }

// PayloadAt is the offset of the first payload.
func (h Header) PayloadAt() int64 {
	end := HeaderSize + int64(h.Slots())*SlotSize
	return (end + tableAlign - 1) &^ (tableAlign - 1)
}

// End is the offset after the last payload byte that fits.
func (h Header) End() int64 { return h.PayloadAt() + h.Capacity }

// TableBytes is what the header and the first n slots occupy on disk.
func TableBytes(n uint32) int64 {
	return HeaderSize + (int64(n)*SlotSize+BlockSize-1)&^(BlockSize-1)
}

func slotAt(n uint32) int64 { return HeaderSize + int64(n)*SlotSize }

// appendHeader appends the header block.
func appendHeader(dst []byte, h Header) []byte {
	var b [HeaderSize]byte
	le := binary.LittleEndian
	copy(b[:], magic)
	le.PutUint32(b[8:], Version)
	copy(b[16:], h.Mount[:])
	le.PutUint64(b[32:], uint64(h.ID))
	le.PutUint64(b[40:], uint64(h.Capacity))
	le.PutUint32(b[48:], h.Slots())
	le.PutUint32(b[52:], SlotSize)
	le.PutUint64(b[56:], uint64(h.PayloadAt()))
	le.PutUint64(b[64:], h.Created)
	le.PutUint32(b[headerCRCAt:], crc32.Checksum(b[:headerCRCAt], castagnoli))
	return append(dst, b[:]...)
}

// ParseHeader reads a header block of any version that was ever written. Magic, version, features and checksum are where
// they are in all of them. Errors: ErrBadHeader, ErrNewerVersion.
func ParseHeader(b []byte) (Header, error) {
	le := binary.LittleEndian
	if len(b) < headerCRCAt+4 || string(b[:8]) != magic {
		return Header{}, fmt.Errorf("%w: no magic", ErrBadHeader)
	}
	if le.Uint32(b[headerCRCAt:]) != crc32.Checksum(b[:headerCRCAt], castagnoli) {
		return Header{}, fmt.Errorf("%w: checksum mismatch", ErrBadHeader)
	}
	v, f := le.Uint32(b[8:]), le.Uint32(b[12:])
	if v > Version || f != 0 {
		return Header{}, fmt.Errorf("%w: version %d, features %#x", ErrNewerVersion, v, f)
	}
	switch v {
	case 1:
		return parseHeader1(b)
	default:
		return Header{}, fmt.Errorf("%w: version %d", ErrBadHeader, v)
	}
}

// parseHeader1 reads what version 1 has between its features and its checksum.
func parseHeader1(b []byte) (Header, error) {
	le := binary.LittleEndian
	h := Header{ID: ID(le.Uint64(b[32:])), Created: le.Uint64(b[64:])}
	copy(h.Mount[:], b[16:])
	capacity := le.Uint64(b[40:])
	if h.ID == 0 || capacity == 0 || capacity > maxCapacity || capacity%BlockSize != 0 {
		return Header{}, fmt.Errorf("%w: id %d, capacity %d", ErrBadHeader, h.ID, capacity)
	}
	h.Capacity = int64(capacity)
	if le.Uint32(b[48:]) != h.Slots() || le.Uint32(b[52:]) != SlotSize || le.Uint64(b[56:]) != uint64(h.PayloadAt()) {
		return Header{}, fmt.Errorf("%w: table does not fit its capacity", ErrBadHeader)
	}
	return h, nil
}

// encodeSlot writes rec's slot into b, which has SlotSize bytes.
func encodeSlot(b []byte, h Header, rec Record) {
	le := binary.LittleEndian
	copy(b, rec.Hash[:])
	le.PutUint64(b[48:], rec.Seq)
	le.PutUint32(b[56:], rec.Time)
	le.PutUint32(b[60:], uint32(rec.Offset/BlockSize))
	meta := rec.Length | uint32(rec.Kind)<<kindShift
	if rec.Dead {
		meta |= deadBit
	}
	le.PutUint32(b[64:], meta)
	le.PutUint32(b[68:], rec.CRC)
	le.PutUint32(b[slotCRCAt:], slotCRC(b, h, rec.Slot))
}

// slotCRC computes a slot's checksum. What the slot does not hold goes through the table byte by byte: as a slice it
// would be an allocation for each slot of a scan.
func slotCRC(b []byte, h Header, slot uint32) uint32 {
	crc := ^uint32(0)
	add := func(c byte) { crc = castagnoli[byte(crc)^c] ^ crc>>8 }
	for _, c := range h.Mount {
		add(c)
	}
	for shift := 0; shift < 64; shift += 8 {
		add(byte(h.ID >> shift))
	}
	for shift := 0; shift < 32; shift += 8 {
		add(byte(slot >> shift))
	}
	return crc32.Update(^crc, castagnoli, b[:slotCRCAt])
}

// parseSlot reads slot number n. Errors: ErrBadSlot.
func parseSlot(b []byte, h Header, n uint32) (Record, error) {
	le := binary.LittleEndian
	if le.Uint32(b[slotCRCAt:]) != slotCRC(b, h, n) {
		return Record{}, fmt.Errorf("%w: %d:%d: checksum mismatch", ErrBadSlot, h.ID, n)
	}
	meta := le.Uint32(b[64:])
	rec := Record{
		Location: Location{
			Segment: h.ID,
			Slot:    n,
			Offset:  int64(le.Uint32(b[60:])) * BlockSize,
			Length:  meta & (1<<lengthBits - 1),
			CRC:     le.Uint32(b[68:]),
		},
		Seq:  le.Uint64(b[48:]),
		Time: le.Uint32(b[56:]),
		Kind: blob.Kind(meta >> kindShift & 3),
		Dead: meta&deadBit != 0,
	}
	copy(rec.Hash[:], b)
	switch {
	case meta&^uint32(knownMeta) != 0 || rec.Kind > blob.KindSD:
		return Record{}, fmt.Errorf("%w: %d:%d: unknown bits %#x", ErrBadSlot, h.ID, n, meta)
	case !rec.Fits(h):
		return Record{}, fmt.Errorf("%w: %d:%d: extent %d+%d is outside of the payloads", ErrBadSlot, h.ID, n, rec.Offset, rec.Length)
	}
	return rec, nil
}

// Fits says whether the extent lies inside the payload region and has a blob's length.
func (l Location) Fits(h Header) bool {
	return l.Length >= 1 && l.Length <= blob.MaxSize && l.Slot < h.Slots() &&
		l.Offset >= h.PayloadAt() && l.Offset%BlockSize == 0 && l.Offset+Blocks(l.Length) <= h.End()
}

func updateCRC(crc uint32, p []byte) uint32 { return crc32.Update(crc, castagnoli, p) }
