package crashfs_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// BenchmarkPut writes blobs of 2 MiB into a preallocated file and syncs it, as a store does under sync: always.
func BenchmarkPut(b *testing.B) {
	const blob, room = 2 << 20, 64 << 20
	f := crashfs.New()
	file, err := f.Create("a")
	if err == nil {
		err = file.Preallocate(0, room)
	}
	if err != nil {
		b.Fatal(err)
	}
	data := pattern(1, blob)
	b.SetBytes(blob)
	for i := int64(0); b.Loop(); i++ {
		if _, err := file.WriteAt(data, i*blob%room); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCut cuts the power of 256 MiB, of which 8 are not durable.
func BenchmarkCut(b *testing.B) {
	f := crashfs.New()
	file, err := f.Create("a")
	if err == nil {
		_, err = file.WriteAt(pattern(1, 256<<20), 0)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		_, err = file.WriteAt(pattern(2, 8<<20), 100<<20)
	}
	if err == nil {
		err = f.SyncDir("/")
	}
	if err != nil {
		b.Fatal(err)
	}
	for seed := uint64(0); b.Loop(); seed++ {
		f.Cut(seed)
	}
}
