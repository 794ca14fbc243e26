package sharded

import (
	"io/fs"
	"syscall"
	"time"
)

// lastUse is the later of the last write and the last read that the file system has noted (with relatime that is to
// the day), which is what an old cache knows about the order of its blobs.
func lastUse(info fs.FileInfo) time.Time {
	last := info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if read := time.Unix(st.Atim.Unix()); read.After(last) {
			last = read
		}
	}
	return last
}
