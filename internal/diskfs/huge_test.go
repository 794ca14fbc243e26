//go:build linux

package diskfs_test

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// TestAlignedHuge: a buffer of any length is whole, its own, and takes a direct read.
func TestAlignedHuge(t *testing.T) {
	f, _ := newFile(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4*block/16)
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{block, 2 << 20, 2<<20 + block, 5 << 20} {
		p, free := diskfs.AlignedHuge(n)
		other, freeOther := diskfs.AlignedHuge(n)
		if len(p) != n || cap(p) != n || uintptr(unsafe.Pointer(&p[0]))%(2<<20) != 0 {
			t.Fatalf("%d bytes, room for %d, at %p; want %d", len(p), cap(p), p, n)
		}
		p[0], p[n-1] = 1, 1
		if other[0] != 0 || other[n-1] != 0 {
			t.Error("two buffers share their bytes")
		}
		freeOther()
		got, err := f.ReadDirect(p[:block], block)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			t.Log("the file system has no direct reads:", err)
		case err != nil || got != block || !bytes.Equal(p[:block], data[block:2*block]):
			t.Errorf("%d bytes, %v", got, err)
		}
		free()
	}
}
