package enginetest

import (
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// DeletedStaysDeleted puts a blob, deletes it before any watermark has passed it, and cuts the power at once, with many
// outcomes: the record's slot and payload may then be whole on the disk, and its dead mark and its punch may not.
func DeletedStaysDeleted(t *testing.T, sync engine.Sync, seeds int) {
	t.Helper()
	const run = 2 // even: no flush by itself
	fs := crashfs.New()
	if err := fs.Mkdir(Dir); err != nil {
		t.Fatal(err)
	}
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), Options(fs, sync, false, run))
	if err != nil {
		t.Fatal(err)
	}
	states := map[int]State{}
	for i := range 4 {
		v := Blob(run, i)
		if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
		states[i] = Maybe
	}
	if err := e.Delete(t.Context(), Blob(run, 0).Hash()); err != nil {
		t.Fatal(err)
	}
	states[0] = Absent
	for seed := range seeds {
		disk, report := fs.Cut(uint64(seed))
		img := image{Seed: run, Sync: sync, Point: "after a delete above the watermark", States: states}
		if err := img.verify(t.Context(), disk); err != nil {
			t.Errorf("cut %d: %v\ndisk: %v", seed, err, report)
			break
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
