package engine_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/cachetest"
)

// TestOpenSegmentsAreBounded reads from many more segments than may be open: they are opened when they are needed, and
// give way to each other.
func TestOpenSegmentsAreBounded(t *testing.T) {
	const most = 4
	o := engine.Options{Dir: t.TempDir(), MaxSize: 1 << 30, SegmentSize: blob.MaxSize, ActiveSegments: 1, OpenSegments: most}
	e := open(t, o)
	var all []blob.Verified
	for range 20 {
		all = append(all, randomBlob(t, blob.MaxSize))
		mustPut(t, e, all[len(all)-1])
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, o)
	if n := e.Stats().Open; n > 1 {
		t.Errorf("%d segments are open before anybody asked for a blob", n)
	}
	for range 2 {
		for _, v := range all {
			mustGet(t, e, v)
			if n := e.Stats().Open; n > most {
				t.Fatalf("%d segments are open, at most %d may be", n, most)
			}
		}
	}
	var handles []blob.Handle
	for _, v := range all[:2*most] { // what is pinned stays open and mapped
		h, err := e.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, h)
	}
	for i, h := range handles {
		var got bytes.Buffer
		if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), all[i].Bytes()) {
			t.Errorf("pinned blob %d: wrong bytes, %v", i, err)
		}
		h.Release()
	}
	for _, v := range all[2*most : 2*most+3] {
		mustGet(t, e, v)
	}
	if n := e.Stats().Open; n > most {
		t.Errorf("%d segments are open after the release", n)
	}
}

// TestHandlesAfterClose reads after Close, from the page cache and from a buffer, and wants nobody else on the mount until
// the last handle is released.
func TestHandlesAfterClose(t *testing.T) {
	o := engine.Options{Dir: t.TempDir(), MaxSize: 1 << 30}
	e := open(t, o)
	v := randomBlob(t, 1<<20)
	mustPut(t, e, v)
	mustGet(t, e, v)
	var handles []blob.Handle
	get := func() {
		h, err := e.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, h)
	}
	get()
	get()
	dropCached(t, o.Dir)
	get()
	if e.Stats().ColdBuffers == 0 {
		t.Log("the page cache keeps the file here, so no handle has a buffer")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for i, h := range handles {
		var locked *diskfs.LockedError
		if again, err := engine.Open(t.Context(), o); !errors.As(err, &locked) {
			if err == nil {
				_ = again.Close()
			}
			t.Fatalf("open with %d readers: %v", len(handles)-i, err)
		}
		got, err := io.ReadAll(io.NewSectionReader(h, 0, h.Size()))
		if err != nil || !bytes.Equal(got, v.Bytes()) {
			t.Fatalf("read after close: %d bytes, %v", len(got), err)
		}
		h.Release()
	}
	mustGet(t, open(t, o), v)
}

// dropCached drops the segments of a mount from the page cache, where the file system can.
func dropCached(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d segments, %v", len(paths), err)
	}
	for _, path := range paths {
		cachetest.Forget(t, path)
	}
}

// TestQuarantineIsCharged puts files into quarantine: they count against the cap, and the oldest go when they take more
// than their share.
func TestQuarantineIsCharged(t *testing.T) {
	o := engine.Options{Dir: t.TempDir(), MaxSize: 256 << 20, SegmentSize: 4 << 20, ActiveSegments: 1}
	used := func() (int64, int64) {
		e := open(t, o)
		eventually(t, "one segment is active", func() bool { return e.Stats().Segments["active"] == 1 })
		s := e.Stats()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return s.Used - s.Index - s.Reserve, s.Aside
	}
	base, none := used()
	aside := func(name string) {
		if err := os.WriteFile(filepath.Join(o.Dir, "quarantine", name), make([]byte, 10<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	aside("a.1")
	n, put := used()
	if put < none+10<<20 || n-base < 10<<20 {
		t.Errorf("10 MiB in quarantine: %d are charged for them, and %d more in all", put, n-base)
	}
	aside("b.1")
	if _, left := used(); left > o.MaxSize/16 || left < 10<<20 {
		t.Errorf("%d bytes are left in quarantine, want one of two files", left)
	}
}
