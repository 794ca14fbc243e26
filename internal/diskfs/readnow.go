//go:build linux

package diskfs

import (
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reads of these lengths in bytes are tried with readNow. Shorter ones are over before the scheduler would notice, and
// longer ones would hold it up.
const (
	minNow = 64 << 10
	maxNow = 512 << 10
)

// readNow copies what the page cache holds from off on, up to the first page that it lacks, and never waits for the disk
// (RWF_NOWAIT). So the scheduler need not know of it. Of other system calls that last 20 µs it takes the processor's place
// away and wakes a thread for it, which costs a server more than a tenth of such a copy. A file system that cannot tell
// what would wait gives nothing.
func (f *osFile) readNow(p []byte, off int64) (n int) {
	if len(p) < minNow || len(p) > maxNow || off < 0 {
		return 0
	}
	_ = f.raw.Control(func(fd uintptr) {
		to := unix.Iovec{Base: unsafe.SliceData(p)}
		to.SetLen(len(p))
		low, high := uintptr(off), uintptr(uint64(off)>>32>>(bits.UintSize-32))
		got, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, fd, uintptr(unsafe.Pointer(&to)), 1, low, high, unix.RWF_NOWAIT)
		if errno == 0 {
			n = int(got)
		}
	}) // whatever is wrong, the read that follows says it
	return n
}
