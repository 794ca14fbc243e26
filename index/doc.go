// Package index is the Pebble database of one mount: where each blob is, in which order blobs are to be evicted, and one
// row a segment. It takes no decisions. Only the engine, or the sharded mode of a disk store, writes it; all that it
// holds, but for the order that hits made, can be had again from the segments.
//
// # Rows, version 1
//
// A key is a tag and what follows it; integers in keys are big-endian, so that they sort. A value has no checksum of its
// own, because Pebble's blocks have one.
//
//	blob row         'b' SHA-384 (48)
//	  varint   segment; 0 in the sharded mode
//	  varint   sequence
//	  varint   length in bytes × 2 + kind
//	  varint   slot                        ┐
//	  varint   offset / segments.BlockSize │ not in the sharded mode
//	  4        CRC32C of the payload, LE   ┘
//
//	order row        'o' sequence (8)
//	  varint   segment; 0 in the sharded mode
//	  varint   slot, or in the sharded mode
//	  48       SHA-384
//
//	segment row      's' segment (8)
//	  1        state: 0 active, 1 sealed, 2 doomed, 3 failed
//	  varint   capacity in bytes
//	  varint   slots written, once it is sealed
//	  varint   live blobs
//	  varint   live bytes, in whole blocks
//	  varint   of them, those of SD blobs
//	  varint   watermark, a slot
//
//	tombstone        't' segment (8) slot (4)
//	  no value
//
//	meta row         'm'
//	  1        version of all rows, 1
//	  8        next segment, LE
//	  8        next sequence, LE
//	  16       session
//	  1        clean: 0 or 1
//
// A varint is unsigned LEB128, as encoding/binary writes it. A row is valid if and only if
//
//  1. its key has a tag of the table and the length that the table gives it;
//  2. its value is what the table says and nothing after it, and each varint is in its shortest form;
//  3. each number fits its field (32 bits for slots, watermarks and lengths, 63 for counts and the offset in bytes, 64
//     for segments and sequences);
//  4. in a blob row, the length is 1 to blob.MaxSize; in a segment row, the segment is not 0 and the state is known; in
//     the meta row, the version is 1. A meta row of a higher version is ErrNewerFormat.
//
// A row that is not valid is ErrCorrupt, with its key. The files themselves are Pebble's, in the pinned FormatVersion.
//
// The row of a blob and its order row are written and deleted in one batch. The index does not check that they agree.
//
// # Failure
//
// Pebble's file system is a guardfs.FS. The first write that fails, damage that Pebble finds, and whatever Pebble would
// end the process for, latch the index: Failed is closed, Err says why, nothing more is written, and reads go on. A
// failed index is closed, its folder is moved away or opened again, and where it was corrupt it is rebuilt; none of that
// happens here. The process keeps what Pebble's goroutines hold: a few of them, and the memtables.
//
// # Idle
//
// Reading writes nothing, ever: no compaction is caused by reads, and no timer writes.
package index
