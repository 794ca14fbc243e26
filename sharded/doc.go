// Package sharded is the layout that keeps one file a blob, as caches have had it for long:
//
//	<root>/<first n characters of the hash>/<hash>     n > 0
//	<root>/<hash>                                      n = 0, flat
//	<root>/tmp/                                        files that are being written
//
// A Dir writes a blob under tmp/ and renames it into place, so a name never shows half a file while the machine stays
// up. After a power cut the name of a blob that was not made durable may be missing, or hold anything: whoever reads it
// again must verify it first. What must hold for a durable blob, in this order: its bytes are synced, it is renamed, the
// folder that it went to is synced, and so is the root if that folder is new.
//
// One process owns the root at a time; its caller sees to that. Other files in the root are tolerated and left alone.
// In tmp/ two kinds of file are removed: those that an earlier Dir left (prism-*), and those that are named as a blob,
// as other programs do for this layout, and that nobody has written to for a day.
//
// The package keeps no totals and no order, verifies nothing, and decides nothing about space.
package sharded
