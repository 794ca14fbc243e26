// Package segments holds append-only segment files: their format, one writer, many pinned readers, and the scan from
// which an index can be rebuilt. It knows nothing of the index: whoever joins the two (package engine) decides what is
// live, what may be given back, and when to sync.
//
// # Format, version 1
//
// All integers are little-endian. A segment is one file of three regions: a header block, a table of slots, and
// payloads. The table has room for one slot per BlockSize of payload and is left sparse; only payloads are preallocated.
//
//	header, HeaderSize bytes
//	  0  8   magic "PRISMSEG"
//	  8  4   format version, 1
//	 12  4   incompatible features, 0
//	 16 16   id of the mount
//	 32  8   id of the segment
//	 40  8   capacity: payload bytes, a multiple of BlockSize
//	 48  4   slots in the table, capacity / BlockSize
//	 52  4   bytes a slot, SlotSize
//	 56  8   offset of the first payload, a multiple of BlockSize
//	 64  8   time of creation, Unix seconds (information)
//	 72  4   CRC32C of bytes 0–71
//	 76  –   zeros
//
//	slot, SlotSize bytes, at HeaderSize + number × SlotSize
//	  0 48   SHA-384 of the payload
//	 48  8   sequence
//	 56  4   time of writing, Unix seconds (information)
//	 60  4   offset of the payload in the file, in blocks of BlockSize
//	 64  4   bits 0–21 length in bytes, 22–23 kind, 24 dead, 25–31 zero
//	 68  4   CRC32C of the payload
//	 72  4   CRC32C of: mount id, segment id, slot number (4 bytes), bytes 0–71 of the slot
//
// A slot is valid if and only if
//
//  1. its CRC matches, with the mount, the segment and the number that it was found under: a slot of another segment,
//     or of a segment that was renamed, does not count;
//  2. its length is 1 to blob.MaxSize, its kind is known, and bits 25–31 are zero;
//  3. its extent lies inside the payload region.
//
// A valid slot counts as a record if and only if it is not dead and its extent holds data (is no hole): a slot can
// reach the disk where its payload does not, and after a punch the payload reads as zeros. What the payload holds is
// proven by its CRC.
//
// Slots are written once, in no fixed order, each after its payload; the dead bit is set later by writing the slot
// again. What no record needs is zeros, or a hole: docs/design/0035. No slot and no extent is used twice, so a Location always means the same record. A torn slot is no slot. The
// end of the file is no bound: a sealed segment is cut after its last payload.
//
// # What readers may rely on
//
// A Handle pins its extent: until its release the extent is not punched and the file stays open and mapped, even if it
// was unlinked. Mapped memory is given to kernel sinks only and never touched by Go code.
package segments
