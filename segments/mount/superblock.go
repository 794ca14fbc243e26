package mount

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// Version is the format version that this package writes, and the highest that it reads.
const Version = 1

// knownFeatures are the incompatible feature bits that this package understands.
const knownFeatures uint64 = 0

// SuperblockSize is the length of a version 1 superblock in bytes.
const SuperblockSize = 128

const (
	magic         = "PRISMSEG"
	minSuperblock = 20   // magic, version, length, CRC
	maxSuperblock = 4096 // of any version to come
)

// The errors that callers branch on.
var (
	// ErrNewerVersion: the store was written by a newer program, in a way that this one must not touch. Nothing was
	// changed.
	ErrNewerVersion = errors.New("the store was made by a newer version of prism")
	// ErrDamaged: the superblock is not valid, or is missing where there is a store.
	ErrDamaged = errors.New("the superblock is damaged")
	// ErrNotAMount: the folder holds something else, or is no folder, or cannot be made.
	ErrNotAMount = errors.New("not a mount of a segment store")
)

// Superblock says what the store in a mount is.
type Superblock struct {
	Version      uint32   // of the format; Open fills in the current one for a fresh mount
	Incompatible uint64   // feature bits; an unknown one means that the mount must be left alone
	ID           [16]byte // names the store; Open fills in a random one for a fresh mount
	IndexFormat  uint32   // format major version that the index is pinned to
	SegmentSize  int64    // bytes of payload in a segment
	IDCeiling    uint64   // segment ids below it may have been used, whatever the index says
	Session      [16]byte // of the engine; kept here, not interpreted
	Created      uint32   // Unix seconds, information only; Open fills it in for a fresh mount
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode gives the bytes of a version 1 superblock.
func (s Superblock) encode() []byte {
	b := make([]byte, SuperblockSize)
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], s.Version)
	le.PutUint32(b[12:], SuperblockSize)
	le.PutUint64(b[16:], s.Incompatible)
	copy(b[24:40], s.ID[:])
	le.PutUint32(b[40:], s.IndexFormat)
	le.PutUint32(b[44:], s.Created)
	le.PutUint64(b[48:], uint64(s.SegmentSize))
	le.PutUint64(b[56:], s.IDCeiling)
	copy(b[64:80], s.Session[:])
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// decodeSuperblock reads what is in a superblock file, of any version that was ever written. Errors: ErrDamaged, ErrNewerVersion.
func decodeSuperblock(b []byte) (Superblock, error) {
	le := binary.LittleEndian
	switch {
	case len(b) == 0:
		return Superblock{}, fmt.Errorf("%w: it is empty", ErrDamaged)
	case len(b) < minSuperblock || string(b[:8]) != magic:
		return Superblock{}, fmt.Errorf("%w: it does not start as one", ErrDamaged)
	case int64(le.Uint32(b[12:])) != int64(len(b)):
		return Superblock{}, fmt.Errorf("%w: %d bytes, says %d", ErrDamaged, len(b), le.Uint32(b[12:]))
	case len(b) > maxSuperblock:
		return Superblock{}, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	case crc32.Checksum(b[:len(b)-4], castagnoli) != le.Uint32(b[len(b)-4:]):
		return Superblock{}, fmt.Errorf("%w: checksum mismatch", ErrDamaged)
	}
	switch v := le.Uint32(b[8:]); {
	case v > Version:
		return Superblock{}, fmt.Errorf("%w: format version %d, this one knows up to %d", ErrNewerVersion, v, Version)
	case v == 1 && len(b) == SuperblockSize:
		return decodeSuperblock1(b)
	default:
		return Superblock{}, fmt.Errorf("%w: version %d in %d bytes", ErrDamaged, v, len(b))
	}
}

// decodeSuperblock1 reads the fields of version 1.
func decodeSuperblock1(b []byte) (Superblock, error) {
	le := binary.LittleEndian
	if f := le.Uint64(b[16:]) &^ knownFeatures; f != 0 {
		return Superblock{}, fmt.Errorf("%w: unknown features %#x", ErrNewerVersion, f)
	}
	if le.Uint64(b[48:]) > math.MaxInt64 {
		return Superblock{}, fmt.Errorf("%w: segment size", ErrDamaged)
	}
	return Superblock{
		Version:      le.Uint32(b[8:]),
		Incompatible: le.Uint64(b[16:]),
		ID:           [16]byte(b[24:40]),
		IndexFormat:  le.Uint32(b[40:]),
		Created:      le.Uint32(b[44:]),
		SegmentSize:  int64(le.Uint64(b[48:])),
		IDCeiling:    le.Uint64(b[56:]),
		Session:      [16]byte(b[64:80]),
	}, nil
}
