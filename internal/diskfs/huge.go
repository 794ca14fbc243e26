//go:build linux

package diskfs

import "golang.org/x/sys/unix"

// hugePage is the size of a huge page where pages have 4 KiB, in bytes.
const hugePage = 2 << 20

// AlignedHuge is Aligned for long direct reads: the buffer is made of huge pages where the kernel has some to give, each of
// which is one range to a device. Of 4 KiB pages a disk takes so few in one request that a read of 2 MiB becomes several,
// with hundreds of ranges each; a fast disk then reads at less than half its rate.
//
// The buffer is not the collector's. free gives it back; using its bytes afterwards ends the process.
func AlignedHuge(n int) (buf []byte, free func()) {
	all, err := unix.Mmap(-1, 0, n+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return Aligned(n), func() {}
	}
	off := int(-address(all) & (hugePage - 1))
	buf = all[off : off+n : off+n]
	_ = unix.Madvise(all, unix.MADV_HUGEPAGE) // a kernel without huge pages says EINVAL, and the buffer is good all the same
	return buf, func() { _ = unix.Munmap(all) }
}
