// Package mount is the folder that a segment store lives in: its layout, its lock, its superblock and its quarantine.
//
//	<dir>/superblock               what the store is; replaced atomically, never written in place
//	<dir>/superblock.tmp           the next superblock while it is written; means nothing
//	<dir>/lock                     locked (flock) while a process owns the mount; holds "pid N"
//	<dir>/segments/%016x.seg       the segments, by id in hex
//	<dir>/index/                   the index, which can be deleted and rebuilt from the segments
//	<dir>/rebuild-index            there when the index is known to be damaged: the next open makes it anew; says why
//	<dir>/scrub                    how far the reading of all payloads has come; scrub.tmp is the next one. Can be deleted
//	<dir>/admin                    where the process that owns the mount answers questions, if it does. Can be deleted
//	<dir>/quarantine/              what was put aside instead of being deleted, and LOG, one line each
//
// A mount has one owner: Open takes the lock before it reads the superblock and Close gives it back. A fresh mount gets
// its folders first, then its superblock, each synced, so a mount with a superblock is whole. A power cut before that
// leaves folders with nothing in them, which the next Open completes.
//
// A missing folder is made when its parent exists, so that a first start needs no preparation; a missing parent is an
// error, so that a mistyped path, or a tree of mounts that is not there, is not filled on the root disk instead. A
// folder that holds something else is never touched.
//
// # The superblock
//
// 128 bytes, little-endian:
//
//	offset  size  field
//	     0     8  magic "PRISMSEG"
//	     8     4  format version, 1
//	    12     4  length of the superblock in bytes, 128
//	    16     8  incompatible feature bits: who does not know one of them must leave the mount alone
//	    24    16  id of the store, random
//	    40     4  format major version that the index is pinned to
//	    44     4  when the store was made, Unix seconds; information only
//	    48     8  segment size, bytes of payload
//	    56     8  id ceiling: segment ids below it may have been used
//	    64    16  session
//	    80    44  reserved: zero when written, ignored when read
//	   124     4  CRC32C (Castagnoli) of the bytes before it
//
// A superblock is valid if and only if the file starts with the magic, is exactly as long as it says, its length is
// between 20 and 4,096 bytes, and its last four bytes are the CRC32C of the rest. This much holds in every version, so
// that a newer superblock is told from a damaged one. Version 1 demands a length of 128 besides.
//
// The package does not read or write segments or the index, and decides nothing about space.
package mount
