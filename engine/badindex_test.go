package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

func (b *badBed) indexDir() string { return filepath.Join(enginetest.Dir, "index") }

// withTable makes a bed whose index has a table too: an index that is opened writes its log into one.
func withTable(t *testing.T) *badBed {
	t.Helper()
	b := newBad(t, true)
	for i := range 2 {
		e := open(t, bedOptions(b.disk))
		mustPut(t, e, enginetest.BlobOf(101, i, 10))
		b.must(e.Close())
	}
	for _, part := range []string{"MANIFEST-", "marker.manifest", "marker.format", ".log", ".sst", "OPTIONS-"} {
		if len(b.indexFiles(part)) == 0 {
			t.Fatalf("no %s in %v", part, b.list("index"))
		}
	}
	return b
}

// indexFiles are the paths of the files of the index whose names contain a text.
func (b *badBed) indexFiles(part string) []string {
	b.t.Helper()
	var out []string
	for _, name := range b.list("index") {
		if strings.Contains(name, part) {
			out = append(out, filepath.Join(b.indexDir(), name))
		}
	}
	return out
}

// TestBadInput75FilesOfTheIndex takes away, cuts and damages each file of the index: whatever it is, all blobs are served,
// because the segments describe themselves.
func TestBadInput75FilesOfTheIndex(t *testing.T) {
	for n := range withTable(t).indexFiles("") {
		t.Run(fmt.Sprintf("file %d", n+1), func(t *testing.T) {
			apart(t, nil, func() {
				whole := withTable(t)
				path := whole.indexFiles("")[n]
				t.Log(filepath.Base(path))
				whole.damaged(path)
			})
		})
	}
}

// damaged takes a file of the index away, cuts it and damages it.
func (b *badBed) damaged(path string) {
	name := filepath.Base(path)
	lacking := b.clone()
	b.must(lacking.disk.Remove(path))
	b.must(lacking.disk.SyncDir(b.indexDir()))
	lacking.serves(name+" is missing", b.but())
	size := len(b.read(path))
	for at := 0; at < size; at += max(1, stride(size/4)) {
		short := b.clone()
		short.truncate(path, int64(at))
		short.serves(fmt.Sprintf("%s ends after %d of %d bytes", name, at, size), b.but())
		short.disk.Discard() // a failed index would hold on to it
		wrong := b.clone()
		wrong.flip(path, int64(at), at%8)
		wrong.serves(fmt.Sprintf("byte %d of %s is wrong", at, name), b.but())
		wrong.disk.Discard()
	}
}

// mustRefuse opens a mount that must be left alone.
func (b *badBed) mustRefuse(what string, want error) {
	b.t.Helper()
	before := b.tree(b.indexDir())
	var e *engine.Engine
	var err error
	answers(b.t, what, func() { e, err = engine.Open(context.Background(), bedOptions(b.disk)) })
	if err == nil {
		b.t.Errorf("%s: it opens", what)
		b.must(e.Close())
		return
	}
	if want != nil && !errors.Is(err, want) {
		b.t.Errorf("%s: %v, want %v", what, err, want)
	}
	if !maps.EqualFunc(before, b.tree(b.indexDir()), bytes.Equal) {
		b.t.Errorf("%s: what must be left alone was changed", what)
	}
}

// tree is the files of a folder, but for those that are locked.
func (b *badBed) tree(dir string) map[string][]byte {
	b.t.Helper()
	names, err := b.disk.List(dir)
	b.must(err)
	out := map[string][]byte{}
	for _, name := range names {
		if name != "LOCK" {
			out[name] = b.read(filepath.Join(dir, name))
		}
	}
	return out
}

// TestBadInput76IndexOfAnotherProgram: a later format is refused and left as it is. A database that orders its keys in
// another way is none of ours: it goes into quarantine.
func TestBadInput76IndexOfAnotherProgram(t *testing.T) {
	b := newBad(t, true)
	marker := b.indexFiles("marker.format-version")[0]
	later := filepath.Join(b.indexDir(), "marker.format-version.000099.999")
	b.must(b.disk.Rename(marker, later))
	b.mustRefuse("a later format", index.ErrNewerFormat)
	b.must(b.disk.Rename(later, marker))
	b.serves("the format as it was", b.but())

	b = newBad(t, true)
	b.loseIndex()
	other := *pebble.DefaultComparer
	other.Name = "another order"
	db, err := pebble.Open(b.indexDir(), &pebble.Options{
		FS: pebblefs.New(b.disk), Comparer: &other, FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion),
	})
	b.must(err)
	b.must(db.Close())
	b.serves("another comparer", b.but())
	if !slices.ContainsFunc(b.list("quarantine"), func(n string) bool { return strings.HasPrefix(n, "index") }) {
		t.Error("the other database is not in quarantine")
	}
}

// copyFolder copies the files of a folder from one disk to another, where it replaces what there is.
func copyFolder(t *testing.T, from, to *crashfs.FS, dir string) {
	t.Helper()
	src, dst := &badBed{t: t, disk: from}, &badBed{t: t, disk: to}
	names, err := to.List(dir)
	dst.must(err)
	for _, name := range names {
		dst.must(to.Remove(filepath.Join(dir, name)))
	}
	for name, data := range src.tree(dir) {
		dst.write(filepath.Join(dir, name), 0, data)
	}
	dst.must(to.SyncDir(dir))
}

// TestBadInput77CopiesOfAnotherTime puts an older index over newer segments, and older segments under a newer index. In
// between one blob was deleted, one was deleted and put again, and one is new.
func TestBadInput77CopiesOfAnotherTime(t *testing.T) {
	older := newBad(t, true)
	newer := older.clone()
	e := open(t, bedOptions(newer.disk))
	fresh := enginetest.BlobOf(99, 6, 4000)
	newer.must(e.Delete(t.Context(), newer.blobs[0].Hash()))
	newer.must(e.Delete(t.Context(), newer.blobs[1].Hash()))
	mustPut(t, e, newer.blobs[1])
	mustPut(t, e, fresh)
	newer.must(e.Close())
	newer.blobs = append(slices.Clone(newer.blobs), fresh)

	b := newer.clone()
	copyFolder(t, older.disk, b.disk, b.indexDir())
	b.mustMiss("an older index", b.serves("an older index", b.but(0)), 0)

	b = newer.clone()
	copyFolder(t, older.disk, b.disk, filepath.Join(enginetest.Dir, "segments"))
	b.stays = []check.Kind{check.SlotWithoutRow, check.Leak} // what was deleted since is back, and no row points there
	b.serves("older segments", []int{2, 3, 4, 5})
}

func TestBadInput78IndexOrSegmentsAlone(t *testing.T) {
	b := newBad(t, true)
	b.loseIndex()
	b.serves("segments alone", b.but())

	b = newBad(t, true)
	for _, name := range b.list("segments") {
		b.must(b.disk.Remove(b.segPath(name)))
	}
	b.must(b.disk.SyncDir(filepath.Join(enginetest.Dir, "segments")))
	b.mustMiss("an index alone", b.serves("an index alone", nil), b.but()...)
}

func TestBadInput79LockHeld(t *testing.T) {
	for path, want := range map[string]error{"lock": nil, "index/LOCK": index.ErrLocked} {
		b := newBad(t, true)
		l, err := b.disk.Lock(filepath.Join(enginetest.Dir, path), "pid 17")
		b.must(err)
		_, err = engine.Open(t.Context(), bedOptions(b.disk))
		var held *diskfs.LockedError
		if err == nil || want != nil && !errors.Is(err, want) || want == nil && !errors.As(err, &held) {
			t.Errorf("%s is held: %v", path, err)
		}
		if want == nil && !strings.Contains(err.Error(), "pid 17") {
			t.Errorf("%v does not say who holds it", err)
		}
		b.must(l.Close())
		b.serves(path+" is free again", b.but())
	}
}

// TestBadInput80DisksThatTakeNothing opens a mount, and makes one, where nothing can be written: Open says so, and
// nothing is harmed.
func TestBadInput80DisksThatTakeNothing(t *testing.T) {
	for _, refusal := range []error{syscall.EROFS, syscall.ENOSPC} {
		for what, b := range map[string]*badBed{
			"a mount": newBad(t, true), "a mount after a bad stop": newBad(t, false), "an empty folder": {t: t, disk: mountFS(t)},
		} {
			refuse := func(crashfs.Op) error { return refusal }
			b.disk.SetHook(refuse)
			var err error
			answers(t, what, func() { _, err = engine.Open(context.Background(), bedOptions(b.disk)) })
			if !errors.Is(err, refusal) {
				t.Errorf("%s: %v, want %v", what, err, refusal)
			}
			b.disk.SetHook(nil)
			b.serves(what+" once the disk takes writes again", b.but())
		}
	}
	b := newBad(t, true)
	b.disk.SetCapacity(1) // full in earnest: the index can be opened or not, and neither hangs
	var e *engine.Engine
	var err error
	answers(t, "a full disk", func() { e, err = engine.Open(context.Background(), bedOptions(b.disk)) })
	if err == nil {
		for i, v := range b.blobs {
			if h, err := e.Get(t.Context(), v.Hash()); err != nil {
				t.Errorf("blob %d on a full disk: %v", i, err)
			} else {
				h.Release()
			}
		}
		err := e.Put(t.Context(), enginetest.BlobOf(99, 50, 100), blob.KindContent)
		if err == nil {
			t.Error("a full disk takes a blob")
		}
		answers(t, "close on a full disk", func() { _ = e.Close() })
	} else if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	b.disk.SetCapacity(0)
	b.serves("after a full disk", b.but())
}
