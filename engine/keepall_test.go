package engine_test

import (
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// TestKeepAllEvictsNothing fills a mount that must not evict: puts are turned away then, and taken again after a removal.
func TestKeepAllEvictsNothing(t *testing.T) {
	const segment = 16 << 20
	e := open(t, engine.Options{Dir: t.TempDir(), MaxSize: 96 << 20, SegmentSize: segment, KeepAll: true})
	var all []blob.Verified
	for {
		v := randomBlob(t, 1<<20)
		err := e.Put(t.Context(), v, blob.KindContent)
		if errors.Is(err, blob.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, v); len(all) > 96 {
			t.Fatal("more was put than max_size has room for")
		}
	}
	if len(all) < segment>>20 {
		t.Errorf("full after %d blobs of 1 MiB", len(all))
	}
	if n := e.Stats().Evicted; n != 0 {
		t.Errorf("%d blobs were evicted", n)
	}
	for _, v := range all {
		mustGet(t, e, v)
	}
	for _, v := range all[:segment>>20+1] {
		if err := e.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	late := randomBlob(t, 1<<20)
	eventually(t, "room", func() bool { return e.Put(t.Context(), late, blob.KindContent) == nil })
	mustGet(t, e, late)
}
