package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// TestChargesCoverTheDisk: whatever is put, deleted and evicted, what the segments are charged for is no less than the
// blocks that they have.
func TestChargesCoverTheDisk(t *testing.T) {
	fs := mountFS(t)
	e := open(t, enginetest.Options(fs, engine.SyncInterval, true, 0))
	for i := range 40 {
		v := enginetest.BlobOf(102, i, 300_000+7000*i)
		mustPut(t, e, v)
		if i%5 == 0 {
			if err := e.Delete(t.Context(), v.Hash()); err != nil {
				t.Fatal(err)
			}
		}
		var charged, there int64
		eventually(t, "charges that cover the disk", func() bool {
			s := e.Stats()
			charged, there = s.Used-s.Index-s.Reserve, segmentBlocks(t, fs)
			return there <= charged
		})
	}
	if e.Stats().Evicted == 0 {
		t.Error("nothing was evicted")
	}
}

// segmentBlocks is what all segment files occupy.
func segmentBlocks(t *testing.T, fs *crashfs.FS) int64 {
	t.Helper()
	dir := filepath.Join(enginetest.Dir, "segments")
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, name := range names {
		f, err := fs.Open(filepath.Join(dir, name), false)
		if err != nil {
			continue // it was unlinked meanwhile
		}
		n, err := f.Allocated()
		if err != nil {
			t.Fatal(err)
		}
		sum += n
		_ = f.Close()
	}
	return sum
}
