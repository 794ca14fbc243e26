// Package engine joins segments and index into the disk tier of one mount, and is the only writer of either while the
// mount serves.
//
// # What holds
//
//   - Bytes before pointer. A Put writes payload and slot, syncs them where the policy says so, then commits the index
//     row, then acknowledges. A removal commits the index row, synced in every policy, then marks the slot dead, then
//     waits for the readers, then punches or unlinks. The committer is in commit.go, the orders around it in put.go
//     (store, Delete) and evict.go.
//   - Every slot below a segment's watermark is durable and, if it is live, indexed. The flusher alone moves watermarks.
//     Recovery looks only at what lies above them.
//   - No byte is served that was not proven: the first read of a record in a process compares slot and row and checks the
//     payload's CRC; later reads come from the page cache, or are checked again.
//   - What the mount holds never exceeds its cap: a segment is charged whole from its creation, and until the last of its
//     blocks is really free. Eviction runs ahead of the creation of segments.
//   - A hit writes nothing. It sets a bit in memory, which the evictor reads.
//   - A failing disk is a miss. No I/O error ends or hangs the process.
//
// # Goroutines
//
// One commits to the index (commit.go), one syncs and moves watermarks (flush.go), one creates segments ahead of need
// (roll.go), one evicts (evict.go), one gives space back (reclaim.go), one removes what turned out to be unreadable
// (get.go), one does what an unclean stop left over (recover.go), and one reads everything once in a while (scrub.go). All end with Close.
//
// Locks: committer.rows before seg.mu and segments.Segment's own; active.mu before seg.mu; flushing before all of them.
// Whatever the committer calls back (apply, after) takes none of committer.rows and flushing, and does not commit.
//
// # What it does not do
//
// It does not hash, fetch, or know any protocol. It does not repair: engine/check finds what is wrong with a mount, with
// View, Holds and HoldsSegment one that is open.
package engine
