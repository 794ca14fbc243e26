package blob_test

import (
	"bytes"
	"hash/crc32"
	"testing"
	"testing/iotest"

	"github.com/OdyseeTeam/prism/blob"
)

// TestCRC32C wants the same CRC however the bytes came.
func TestCRC32C(t *testing.T) {
	for _, n := range []int{1, 4096, 128<<10 - 1, 128 << 10, 128<<10 + 1, blob.MaxSize} {
		data := bytes.Repeat([]byte{1, 2, 3, 5, 7}, n/5+1)[:n]
		want := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		name := blob.Sum(data)
		whole, err := blob.Verify(name, data)
		if err != nil {
			t.Fatal(err)
		}
		h := blob.NewHasher(make([]byte, 0, n))
		for r := iotest.HalfReader(bytes.NewReader(data)); h.Len() < n; {
			if _, err := h.ReadOnce(r, 70000); err != nil {
				t.Fatal(err)
			}
		}
		pieces, err := h.Verified(name)
		if err != nil {
			t.Fatal(err)
		}
		if whole.CRC32C() != want || pieces.CRC32C() != want {
			t.Errorf("%d bytes: %#x whole, %#x in pieces, want %#x", n, whole.CRC32C(), pieces.CRC32C(), want)
		}
	}
}
