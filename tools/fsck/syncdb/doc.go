// Package syncdb compares a disk that nothing has open with its catalogue, both ways, and settles on what they differ.
//
// A configuration says which catalogue is that of which disk: the db_backed that is over it. The comparison is that of
// metadata/compare, which a running db_backed makes too; the disk is read as engine/check reads a mount or, with one file
// a blob, by the names and lengths of the files.
//
// What must hold:
//
//   - The disk's lock is held from the first look to the last row that is written, and only given up for the store that
//     deletes what is blocked.
//   - The disk is right: rows are made to say what it has. Nothing on it is deleted, but blobs that the catalogue has as
//     blocked, where the configuration says that such are deleted (lists.blocklist.delete).
//   - Whatever is wrong with the configuration, the disk or the catalogue is an error before anything is changed.
//   - A stream names what its SD blob on the disk names, once that was read and verified.
//   - Rows are written in batches, each a transaction. A run that is killed leaves whole batches, and the next finds the
//     rest: nothing is noted about a run.
//   - What is young, what the journal of the store still has to tell, and what a run that was killed wrote last on a
//     segment mount, is in flight: it is counted, and left to the store.
//
// Memory is that of a page of either side, and of one SD blob and what it names; with one file a blob, 48 bytes for each
// file in the largest folder besides, and after a run that did not end in good order, for each record above the
// watermarks.
package syncdb
