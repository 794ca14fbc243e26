// Package disk keeps blobs on a disk of this machine. In a configuration:
//
//	store:
//	  disk:
//	    name: nvme1                # follows "disk-" in names and metrics
//	    mount_point: /mnt/nvme1
//	    max_size: 3TB              # without it, min_free is the only bound
//	    min_free: 10GB             # default: the larger of 1 % and 1 GiB
//	    sync: interval             # always | interval | never
//	    eviction: lru
//	    scrub_period: 720h         # mode segments: all is read and compared within it; 0 is never
//	    mode: segments             # or sharded; see below
//	    sharding_size: 2           # sharded: length of the folders' names; 0 is flat
//
// # Modes
//
// In mode segments the mount holds append-only segments and an index of them; package engine does the work. In mode
// sharded it holds one file a blob, in folders named by the first sharding_size characters of the hash, as caches have
// had it for long.
//
// Without mode, a sharding_size means sharded (0 too); without that, a folder with blob files at its top is sharded and
// flat, and an empty folder or a segment store is segments. A folder that holds another layout than these say is refused
// with the command that migrates it, and one that holds something else is refused outright.
//
// # Sharded mode
//
// Beside the blobs, the hidden folder .prism in the mount has the lock and the index, which keeps the order of eviction
// and the totals. It can be deleted while nothing runs: the next start finds the files again. Old programs that share
// the layout ignore it.
//
//	<mount_point>/.prism/lock     held while a process serves the mount
//	<mount_point>/.prism/index/   one row a blob: size, kind, place in the order, and whether the file is proven
//
// What must hold:
//
//   - Only proven bytes are served. A file is proven when this store wrote it, or has read all of it through SHA-384
//     once, and it is durable. The row says so in the lowest bit of its sequence, and such a row is removed, durably,
//     before its file is. A file that is not proven, or has another size than its row, is read whole before it is served
//     the first time. What is found wrong then (empty, cut, other bytes) is a miss and is deleted, to be filled again.
//   - sync says what an acknowledged Put promises. always: the blob is durable. interval: within a second. never: what
//     the operating system makes of it. With interval and never, blobs that a power cut or a kill caught before they were
//     durable are proven anew before they are served.
//   - Serving starts at once. A walk in the background adds files that the index lacks, in the order of their last use,
//     and drops rows whose file is gone. Until the first walk of a folder has ended nothing is evicted, and blobs pass
//     through where the cap could otherwise be exceeded.
//   - max_size covers the files by whole blocks, their folders, files that are deleted and still read, puts under way, and the index
//     with a reserve for its compactions. A put finds no room only where nothing can be evicted: then it is
//     blob.ErrFull, and fills pass through.
//   - A hit writes nothing. It sets a bit in memory that the evictor reads.
//   - A failing disk is a miss. Faults are counted in Stats.
//
// Sequences are made of the time of the last use and a counter, so that what the walk finds and what is put have one
// order; see sequence.go. Totals are in the index's row of segment 1, since files have none.
package disk
