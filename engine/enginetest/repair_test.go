package enginetest_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/engine/repair"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

const mountDir = "/mount"

// built makes a mount with the engine: some segments of blobs of many sizes, of which every fifth was deleted.
func built(t *testing.T) (*crashfs.FS, map[blob.Hash][]byte) {
	t.Helper()
	disk := crashfs.New()
	checktest.After(t, disk, mountDir)
	e, err := engine.Open(t.Context(), options(disk))
	if err != nil {
		t.Fatal(err)
	}
	all := map[blob.Hash][]byte{}
	r := rand.NewChaCha8([32]byte{7})
	for i := range 30 {
		p := make([]byte, []int{1, 5000, 300_000, 4096, 70_000}[i%5]+i)
		_, _ = r.Read(p) // never fails
		v, err := blob.Verify(blob.Sum(p), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
		if i%5 == 3 {
			if err := e.Delete(t.Context(), v.Hash()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		all[v.Hash()] = p
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return disk, all
}

func options(fsys diskfs.FS) engine.Options {
	return engine.Options{FS: fsys, Dir: mountDir, MaxSize: 256 << 20, SegmentSize: 2 << 20, ActiveSegments: 2, Logger: slog.New(slog.DiscardHandler)}
}

// look is the check of everything.
func look(t *testing.T, disk *crashfs.FS) check.Report {
	t.Helper()
	r, err := check.Mount(t.Context(), disk, mountDir, check.Options{Hashes: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serves counts the blobs that the engine has not, and fails the test for every wrong byte.
func serves(t *testing.T, disk *crashfs.FS, all map[blob.Hash][]byte) (missing int) {
	t.Helper()
	e, err := engine.Open(t.Context(), options(disk))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	for h, p := range all {
		got, err := e.Get(t.Context(), h)
		if errors.Is(err, blob.ErrNotFound) {
			missing++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, got.Size())
		if _, err := got.ReadAt(b, 0); err != nil || !bytes.Equal(b, p) {
			t.Errorf("blob %s: wrong bytes, or %v", h.Short(), err)
		}
		got.Release()
	}
	return missing
}

// mend repairs, and wants the mount clean then.
func mend(t *testing.T, disk *crashfs.FS) repair.Report {
	t.Helper()
	r, err := repair.Mount(t.Context(), disk, mountDir, repair.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := look(t, disk); !c.Clean() || !c.GoodStop || c.Pending != 0 {
		t.Fatalf("after the repair:\n%s\n%s", r, c)
	}
	return r
}

func TestAWholeMountLosesNothing(t *testing.T) {
	disk, all := built(t)
	dry, err := repair.Mount(t.Context(), disk, mountDir, repair.Options{DryRun: true})
	if err != nil || len(dry.Done) > 0 || len(dry.Lost) > 0 {
		t.Fatalf("%v, %v", dry, err)
	}
	if r := mend(t, disk); len(r.Lost) > 0 || r.Adopted > 0 || r.Blobs != int64(len(all)) {
		t.Error(r)
	}
	if n := serves(t, disk, all); n != 0 {
		t.Errorf("%d blobs are missing", n)
	}
}

// TestDryRunWritesNothing: not to the index either, whatever state that is in. Only the locks say that somebody looks.
func TestDryRunWritesNothing(t *testing.T) {
	stopped, _ := built(t)
	served, _ := stopped.Cut(0)
	e, err := engine.Open(t.Context(), options(served))
	if err != nil {
		t.Fatal(err)
	}
	late := enginetest.Blob(1, 1)
	if err := errors.Join(e.Put(t.Context(), late, blob.KindContent), e.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	killed, _ := served.Cut(0)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	unmarked, _ := stopped.Cut(0)
	garbled, _ := stopped.Cut(0)
	for path := range files(t, stopped, "index") {
		damage(t, garbled, path, 0, "garbage")
		if strings.HasPrefix(filepath.Base(path), "marker.") {
			if err := unmarked.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	emptied, _ := stopped.Cut(0)
	for path := range files(t, emptied, "index") {
		if err := emptied.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := emptied.SyncDir(filepath.Join(mountDir, "index")); err != nil {
		t.Fatal(err)
	}
	missing, _ := emptied.Cut(0)
	if err := missing.Remove(filepath.Join(mountDir, "index")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		disk  *crashfs.FS
		blobs int64
		lost  bool // the index
	}{
		"stopped": {stopped, 24, false}, "killed": {killed, 25, false}, // the row of late is in a log
		"unmarked": {unmarked, 24, true}, "garbled": {garbled, 24, true}, "emptied": {emptied, 24, true}, "missing": {missing, 24, true},
	} {
		c.disk.SetHook(func(op crashfs.Op) error {
			if base := filepath.Base(op.Path); base == "lock" || base == "LOCK" || op.Kind == crashfs.OpSync || op.Kind == crashfs.OpSyncDir {
				return nil // what others left unsynced is made durable before it is judged
			}
			t.Errorf("%s: %v %s", name, op.Kind, op.Path)
			return errors.New("not to be written")
		})
		r, err := repair.Mount(t.Context(), c.disk, mountDir, repair.Options{DryRun: true})
		if err != nil || r.Blobs != c.blobs || len(r.Lost) > 0 || c.lost == (r.Adopted == 0) {
			t.Errorf("%s: %v, %v", name, err, r)
		}
		c.disk.SetHook(nil)
		if r := mend(t, c.disk); r.Blobs != c.blobs || len(r.Lost) > 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// files lists the files of a folder of the mount, with their sizes.
func files(t *testing.T, disk *crashfs.FS, name string) map[string]int64 {
	t.Helper()
	names, err := disk.List(filepath.Join(mountDir, name))
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, n := range names {
		path := filepath.Join(mountDir, name, n)
		info, err := disk.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes[path] = info.Size()
	}
	return sizes
}

// TestRepairUnderPowerCuts cuts the power before each write-side call of a repair. The next one ends with the same blobs.
func TestRepairUnderPowerCuts(t *testing.T) {
	disk, all := built(t)
	disk, _ = disk.Cut(0)
	paths := files(t, disk, "segments")
	lost := 0
	for path, size := range paths { // the superblock, a payload, the index, and a foreign file
		damage(t, disk, path, size-segments.BlockSize, "garbage")
		lost++
	}
	damage(t, disk, filepath.Join(mountDir, "superblock"), 0, "garbage")
	for path := range files(t, disk, "index") {
		damage(t, disk, path, 0, "garbage")
	}
	f, err := disk.Create(filepath.Join(mountDir, "segments", "notes.txt"))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if disk, _ = disk.Cut(0); look(t, disk).Clean() {
		t.Fatal("nothing is wrong")
	}
	var mu sync.Mutex // the index has goroutines of its own
	var images []*crashfs.FS
	disk.SetHook(func(op crashfs.Op) error {
		image, _ := disk.Cut(uint64(op.N))
		mu.Lock()
		defer mu.Unlock()
		images = append(images, image)
		return nil
	})
	want := mend(t, disk)
	mu.Lock()
	defer mu.Unlock()
	if len(want.Lost) != lost || len(images) < 20 {
		t.Errorf("%d lost, want %d; %d calls\n%s", len(want.Lost), lost, len(images), want)
	}
	for i, image := range images {
		if c, err := check.Mount(t.Context(), image, mountDir, check.Options{Hashes: true}); err != nil {
			t.Fatalf("cut %d: %v", i, err)
		} else if c.Clean() && c.GoodStop {
			continue // it was done
		}
		if r := mend(t, image); r.Blobs != want.Blobs {
			t.Errorf("cut %d: %d blobs, want %d\n%s", i, r.Blobs, want.Blobs, r)
		}
		if n := serves(t, image, all); n != lost {
			t.Errorf("cut %d: %d blobs are missing, want %d", i, n, lost)
		}
	}
}

// TestSwappedSegments go to their names again, with all that is in them.
func TestSwappedSegments(t *testing.T) {
	disk, all := built(t)
	var paths []string
	for path := range files(t, disk, "segments") {
		paths = append(paths, path)
	}
	if len(paths) < 2 {
		t.Fatal(paths)
	}
	err := errors.Join(disk.Rename(paths[0], "/x"), disk.Rename(paths[1], paths[0]), disk.Rename("/x", paths[1]))
	if err != nil {
		t.Fatal(err)
	}
	if look(t, disk).Clean() {
		t.Error("nothing was found")
	}
	if r := mend(t, disk); len(r.Lost) > 0 || r.Blobs != int64(len(all)) {
		t.Error(r)
	}
	if n := serves(t, disk, all); n != 0 {
		t.Errorf("%d blobs are missing", n)
	}
}

// TestRepairWithoutAFolder: what is missing is made again.
func TestRepairWithoutAFolder(t *testing.T) {
	for _, name := range []string{"index", "segments", "quarantine"} {
		disk, all := built(t)
		for path := range files(t, disk, name) {
			if err := disk.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if err := disk.Remove(filepath.Join(mountDir, name)); err != nil {
			t.Fatal(err)
		}
		want := len(all)
		if name == "segments" {
			want = 0
		}
		if r := mend(t, disk); r.Blobs != int64(want) || len(r.Lost) != len(all)-want {
			t.Errorf("without %s: %s", name, r)
		}
	}
}

// TestRepairAfterPowerCuts: a repair right after a power cut, before any open, brings no deleted blob back.
func TestRepairAfterPowerCuts(t *testing.T) {
	disk, all := built(t)
	e, err := engine.Open(t.Context(), options(disk))
	if err != nil {
		t.Fatal(err)
	}
	deleted := map[blob.Hash]bool{}
	for h := range all {
		if len(deleted) < 5 {
			if err := e.Delete(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			deleted[h] = true
		}
	}
	var images []*crashfs.FS
	for seed := range uint64(20) {
		image, _ := disk.Cut(seed)
		images = append(images, image)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for seed, image := range images {
		if r := mend(t, image); r.Blobs != int64(len(all)-len(deleted)) || len(r.Lost) > 0 {
			t.Errorf("seed %d: %s", seed, r)
		}
		if n := serves(t, image, all); n != len(deleted) {
			t.Errorf("seed %d: %d blobs are missing, want the %d that were deleted", seed, n, len(deleted))
		}
	}
}
