package diskfs

import (
	"errors"
	"unsafe"
)

// DirectAlign is what the offset, the length and the address of a direct read must be multiples of, in bytes. Devices
// ask for less; 4 KiB satisfies all of them.
const DirectAlign = 4096

// directReader is what a file has that can be read around the page cache.
type directReader interface {
	ReadDirect(p []byte, off int64) (int, error)
}

// ReadDirect fills p from the device, around the page cache: what is not in it does not get in, and what is dirty in it
// is written first. It is errors.ErrUnsupported where the file or its file system cannot, or where p or off is not
// aligned; callers then use ReadAt, which finds whatever else is wrong.
func ReadDirect(f File, p []byte, off int64) (int, error) {
	d, ok := f.(directReader)
	if !ok || len(p) == 0 || len(p)%DirectAlign != 0 || off%DirectAlign != 0 ||
		uintptr(unsafe.Pointer(unsafe.SliceData(p)))%DirectAlign != 0 {
		return 0, errors.ErrUnsupported
	}
	return d.ReadDirect(p, off)
}
