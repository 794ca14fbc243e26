package segments_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// Files that nobody uses give way; those that are pinned, written to, or changed since their last sync do not.
func TestFilesGiveWay(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		files := segments.NewFiles(2)
		var segs []*segments.Segment
		var recs []segments.Record
		for i := range 6 {
			s := b.create(t, segments.ID(i+1), 64)
			recs = append(recs, put(t, s, content(uint64(i), 100_000)))
			if err := errors.Join(s.Sync(), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = b.at(t, segments.ID(i+1))
			s.Share(files)
			segs = append(segs, s)
		}
		read := func(i int) {
			t.Helper()
			if p, err := payload(segs[i], recs[i]); err != nil || !bytes.Equal(p, content(uint64(i), 100_000)) {
				t.Fatalf("segment %d: %v", i, err)
			}
		}
		for range 3 {
			for i := range segs {
				read(i)
				if n := files.Open(); n > 2 {
					t.Fatalf("%d files are open", n)
				}
			}
		}
		bufs := segments.NewBuffers(1)
		if !segs[0].Pin(recs[0].Slot) {
			t.Fatal("cannot pin")
		}
		h, err := segs[0].OpenHandle(recs[0].Location, bufs, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := segs[1].MarkDead(recs[1].Slot); err != nil { // changed, not synced
			t.Fatal(err)
		}
		for i := range segs[2:] {
			read(i + 2)
		}
		if n := files.Open(); n != 3 {
			t.Errorf("%d files are open, want the one that is pinned, the one that was changed, and the last", n)
		}
		var got bytes.Buffer
		if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), content(0, 100_000)) {
			t.Errorf("pinned: %v", err)
		}
		h.Release()
		if err := segs[1].Sync(); err != nil || !segs[1].Settled() {
			t.Error(err)
		}
		for range 2 {
			for i := range segs[2:] {
				read(i + 2)
			}
		}
		if n := files.Open(); n > 2 {
			t.Errorf("%d files are open after all", n)
		}
		for _, s := range segs {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := files.Open(); n != 0 {
			t.Errorf("%d files are open after Close", n)
		}
	})
}

// ProveOnDevice sees what a sync made durable, and nothing else.
func TestProveOnDevice(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 256)
	rec := put(t, s, content(1, 300_000))
	if err := s.ProveOnDevice(rec.Hash, rec.Location); err == nil {
		t.Fatal("what was never synced is proven")
	}
	if _, err := payload(s, rec); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.ProveOnDevice(rec.Hash, rec.Location); err != nil {
		t.Fatal(err)
	}
	if err := s.ProveOnDevice(blob.Hash{1}, rec.Location); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("another blob: %v", err)
	}
	b.patch(t, b.path(1), rec.Offset+200_000, []byte("flipped"))
	if err := s.ProveOnDevice(rec.Hash, rec.Location); err != nil {
		t.Errorf("an unsynced change has reached the device: %v", err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := s.ProveOnDevice(rec.Hash, rec.Location); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("damage on the device: %v", err)
	}
	if err := b.fs.(*crashfs.FS).FailReads(b.path(1), rec.Offset, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.ProveOnDevice(rec.Hash, rec.Location); err == nil || errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("a bad block: %v", err)
	}
}
