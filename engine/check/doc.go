// Package check looks at a mount that is not open, and says whether its superblock, its segments and its index agree.
// It repairs nothing and writes nothing: it takes the lock, and opens the index read-only. Online does
// it while another process serves the mount, with that one's help.
//
// # What it holds a mount to
//
// Whatever happened to it:
//
//   - the superblock is whole, and no segment has an id at or above its ceiling;
//   - each blob row has one order row, and each order row its blob row;
//   - a segment row counts the blob rows of its segment, and fits the segment's header;
//   - below the watermark, a blob row names a valid slot that is not dead and says the same; its extent lies inside the
//     payloads, holds data, and overlaps no other; on demand, its payload has its CRC, and its hash;
//   - with payloads also: what no record needs is zeros or holes, and every block of the index is what was written, as
//     docs/design/0035 says.
//
// After a run that ended in good order also:
//
//   - all that holds above watermarks too: each is at its segment's last slot, and no segment is active;
//   - each segment file has its row and each row its file, and a valid slot that is not dead has its blob row;
//   - no segment occupies more than its table and its live records, but for what a file system needs itself.
//
// After any other run the next open has work left: records above the watermarks to add or to drop, dead marks that did
// not reach the disk, segments half made or half removed. Such things are counted as pending, and are no findings.
//
// Read is for who compares the blobs of a mount with something else: it gives them as the index has them, and judges none.
//
// # Memory
//
// It keeps 80 bytes a blob, what the table says of each segment whose payloads are being read, and the buffers that
// go round between readers and comparers: up to 24 of 4 MiB for CRCs, up to 40 of 2 MiB for hashes; one more for each comparer that meets
// damage. Read keeps nothing of a blob.
//
// # What is damaged
//
// ends nothing. Without a superblock the mount is the one that most segments name. Without an index each valid slot that
// is not dead and has data counts as live.
//
// It does not import package engine: what it knows of the rules it knows from the formats.
package check
