package index_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
)

// TestInspect: an index that was closed in good order has no flaws and one manifest. One that was not has a log without an
// end, at most.
func TestInspect(t *testing.T) {
	disk := crashfs.New()
	open := func() *index.Index {
		t.Helper()
		x, err := index.Open(index.Options{FS: pebblefs.New(disk), Dir: "/index"})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	inspect := func(disk *crashfs.FS) []index.Flaw {
		t.Helper()
		flaws, err := index.Inspect(t.Context(), pebblefs.New(disk), "/index")
		if err != nil {
			t.Fatal(err)
		}
		return flaws
	}
	if flaws := inspect(disk); len(flaws) > 0 {
		t.Errorf("no folder: %v", flaws)
	}
	for round := range 3 {
		x := open()
		b := x.NewBatch()
		b.Put(blob.Hash{byte(round)}, index.Entry{Seq: uint64(round) + 1, Location: segments.Location{Segment: 1, Offset: 1 << 20, Length: 1}})
		b.SetMeta(index.Meta{NextSeq: 9, Clean: true})
		if err := b.Commit(true); err != nil {
			t.Fatal(err)
		}
		cut, _ := disk.Cut(uint64(round))
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if flaws := inspect(disk); len(flaws) > 0 {
			t.Errorf("round %d: %v", round, flaws)
		}
		names, err := disk.List("/index")
		manifests := 0
		for _, name := range names {
			if strings.HasPrefix(name, "MANIFEST-") {
				manifests++
			}
		}
		if err != nil || manifests != 1 {
			t.Errorf("round %d: %d manifests in %v, %v", round, manifests, names, err)
		}
		for _, f := range inspect(cut) {
			if f.Kind != index.Ragged && f.Kind != index.IdleRagged {
				t.Errorf("round %d, after a power cut: %+v", round, f)
			}
		}
	}
	f, err := disk.Create(filepath.Join("/index", "notes.txt"))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if flaws := inspect(disk); len(flaws) != 1 || flaws[0].Kind != index.Idle || flaws[0].File != "notes.txt" {
		t.Errorf("a foreign file: %v", flaws)
	}
}

// TestInspectEnds: who is told to stop reads no further.
func TestInspectEnds(t *testing.T) {
	disk := crashfs.New()
	x, err := index.Open(index.Options{FS: pebblefs.New(disk), Dir: "/index"})
	if err != nil || x.Close() != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(enough)
	if flaws, err := index.Inspect(ctx, pebblefs.New(disk), "/index"); len(flaws) > 0 || !errors.Is(err, enough) {
		t.Errorf("%v, %v", flaws, err)
	}
}
