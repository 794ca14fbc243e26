package segments

import "github.com/OdyseeTeam/prism/blob"

// ID names a segment within a mount. IDs start at 1 and are never used twice, not even after the index was rebuilt.
type ID uint64

// Location says where one record is. A segment's slots are written once, so a Location never comes to mean another
// record: at most the record dies.
type Location struct {
	Segment ID
	Slot    uint32 // number of the record's slot in the segment's table
	Offset  int64  // of the payload in the file, a multiple of BlockSize
	Length  uint32 // of the payload in bytes, 1 to blob.MaxSize
	CRC     uint32 // CRC32C of the payload
}

// BlockSize is what payloads are aligned to, and the unit in which space is charged and given back, in bytes.
const BlockSize = 4096

// Blocks is the space that a payload of n bytes takes on disk, in bytes.
func Blocks(n uint32) int64 {
	return (int64(n) + BlockSize - 1) &^ (BlockSize - 1)
}

// Record is what a slot says.
type Record struct {
	Hash blob.Hash
	Location
	Seq  uint64 // order of writing within the mount; of two records of one blob the higher counts
	Time uint32 // when it was written, in Unix seconds: information only, nothing is decided by it
	Kind blob.Kind
	Dead bool // deleted or evicted: the payload may be punched already
}
