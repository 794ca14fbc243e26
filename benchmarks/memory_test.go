package benchmarks

import (
	"os"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// warmMemory has the kernel own n bytes of free pages that the machine really has, by writing a file of that size and
// removing it. Call it right before what is timed, for each of those that are compared; it lasts about two seconds.
//
// On a virtual machine whose host takes free memory back, the first write to a page is a fault in the host, which is
// booked here as system time: ten times the price of the write itself. A cache whose page cache has once been full
// never pays it, and what is measured should not either.
func warmMemory(tb testing.TB, n int64) {
	tb.Helper()
	f, err := os.CreateTemp("", "prism-bench-memory-")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	defer os.Remove(f.Name())
	piece := make([]byte, blob.MaxSize)
	for ; n > 0; n -= int64(len(piece)) {
		if _, err := f.Write(piece); err != nil {
			tb.Fatal(err)
		}
	}
}

// total is the size of all blobs together, in bytes.
func total(blobs []blob.Verified) int64 {
	var n int64
	for _, v := range blobs {
		n += v.Size()
	}
	return n
}
