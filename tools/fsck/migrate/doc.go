// Package migrate moves the blobs of one store into another: one file a blob → segments, segments → one file a blob, and
// segments → segments.
//
// # What holds
//
//   - Every blob is read whole and compared with its name on the way. What is wrong (empty, cut, other bytes, unreadable)
//     is listed and stays where it is.
//   - The destination is written by its own store alone (package engine, or package stores/disk for one file a blob), which
//     evicts nothing meanwhile: where there is no room the run stops, and nothing is lost.
//   - With Move a blob leaves the source once the destination has it durably: blobs land, a flush makes all of them durable,
//     and then they are freed in the source, batch by batch. No moment lacks both, so a run that ended anywhere is simply
//     begun again. A blob that is in both places then is read in the destination before it leaves the source.
//   - Blobs are written coldest first, so the destination's order of eviction is that of the source, but for the few that
//     are under way at once.
//   - Memory is bounded: what was found is sorted in files, in a temporary folder beside the destination or where Temp says.
//
// The order is that of the source's index where it can be opened; else that of the last use of each file, or of the
// sequences in the slots. Without Move the source may be served meanwhile: what it evicts between the look and the read
// is counted as gone, and the order is read without its index.
//
// It does not repair: what engine/repair can save, it should save before.
package migrate
