package diskfs

import "unsafe"

// DirectAlign is what the offset, the length and the address of a direct read must be multiples of, in bytes. Devices
// ask for less; 4 KiB satisfies all of them.
const DirectAlign = 4096

// Aligned makes a buffer of n bytes that a direct read can fill.
func Aligned(n int) []byte {
	b := make([]byte, n+DirectAlign)
	off := int(-address(b) & (DirectAlign - 1))
	return b[off : off+n : off+n]
}

func address(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }
