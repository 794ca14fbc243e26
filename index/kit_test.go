package index_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// hashOf is the name of the i-th blob.
func hashOf(i int) blob.Hash {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return sha512.Sum384(b[:])
}

// entryOf is a plausible entry for the i-th blob.
func entryOf(i int) index.Entry {
	slot := i % 65536
	return index.Entry{
		Location: segments.Location{
			Segment: segments.ID(i/65536 + 100),
			Slot:    uint32(slot),
			Offset:  int64(slot+1300) * segments.BlockSize,
			Length:  uint32(1 + i*7919%blob.MaxSize),
			CRC:     uint32(i) * 2654435761,
		},
		Seq:  uint64(i) + 1,
		Kind: blob.Kind(i % 2),
	}
}

// open opens an index and closes it at the end of the test, unless the test has.
func open(tb testing.TB, o index.Options) *index.Index {
	tb.Helper()
	x, err := index.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := x.Close(); err != nil && x.Err() == nil {
			tb.Error(err)
		}
	})
	return x
}

// dump is all rows of an index, as a View writes them.
func dump(tb testing.TB, x *index.Index) []byte {
	tb.Helper()
	v, err := x.View()
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := v.WriteTo(&out); err != nil {
		tb.Fatal(err)
	}
	if err := v.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// openMem opens an index in memory.
func openMem(tb testing.TB, o index.Options) *index.Index {
	tb.Helper()
	o.FS, o.Dir = vfs.NewMem(), "mount/index"
	return open(tb, o)
}

// fill puts blobs [from, to).
func fill(tb testing.TB, x *index.Index, from, to int) {
	tb.Helper()
	for i := from; i < to; {
		b := x.NewBatch()
		for range 50 {
			if i < to {
				b.Put(hashOf(i), entryOf(i))
				i++
			}
		}
		if err := b.Commit(false); err != nil {
			tb.Fatal(err)
		}
	}
}
