// Package diskfs is the seam between the disk tier and the file system: creation, preallocation, positional reads and
// writes, syncs of files and folders, punching, unlinking, mapping, and the search for data and holes.
//
// OS is the real one, for Linux. The package crashfs is one in memory that can lose what was not synced, and pebblefs
// gives the index the same file system as the segments, so that one power cut hits both.
//
// The seam holds no policy: it retries nothing, caches nothing and hides no error.
package diskfs
