// Package bolt is the catalogue in one file, for whoever has no database server. It answers as metadata/mysql does.
//
// The file is one of go.etcd.io/bbolt: a tree of pages that are never changed in place, so a crash or a power cut at any
// moment leaves the last commit, and a commit that returned is on the disk. One process has the file open at a time.
//
// The format, version 1; it changes only with that number. Numbers are big-endian, times are seconds since 1970 and 0
// where none is noted.
//
//	bucket    key                     value
//	meta      format, rows, stored    uint64: the version, the number of blobs, and of those that are stored
//	blobs     hash                    stored (1 byte, 0 or 1), length (uint32, 0: none), time (uint64)
//	streams   SD hash                 time (uint64), stream_hash
//	names     stream_hash             SD hash
//	contents  SD hash                 the hashes of the content blobs, in the order of the stream
//	links     content hash, SD hash   nothing
//	blocked   hash                    nothing
//
// A commit waits for the disk. Writes that come while one is under way share the next, and all hashes of one call are
// in few of them: many blobs a call are far cheaper than many calls.
package bolt
