package enginetest_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/engine/repair"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// firstSegment is the path of the segment with the lowest id.
func firstSegment(t *testing.T, disk *crashfs.FS) string {
	t.Helper()
	var paths []string
	for path := range files(t, disk, "segments") {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths[0]
}

// lostIndex makes the index one that cannot be read.
func lostIndex(t *testing.T, disk *crashfs.FS) {
	t.Helper()
	for path := range files(t, disk, "index") {
		if strings.HasPrefix(filepath.Base(path), "MANIFEST") {
			damage(t, disk, path, 0, "garbage")
		}
	}
}

// TestRepairOfWhatCannotBeRead: of a segment whose header or table the disk does not give, what it does give goes to a new
// segment, and the file to quarantine as it is. Whether writing would heal the block does not matter: nothing is written to it.
func TestRepairOfWhatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		off   int64
		index bool // it can be read
	}{
		{"header", 0, true}, {"header, and the index", 0, false},
		{"table", segments.HeaderSize, true}, {"table, and the index", segments.HeaderSize, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, all := built(t)
			path := firstSegment(t, disk)
			blobs := hit(places(t, disk, all), path, 0, 1<<40)
			if err := disk.FailReads(path, c.off, 1); err != nil {
				t.Fatal(err)
			}
			lost := 0
			if !c.index {
				lostIndex(t, disk)
				if c.off > 0 {
					lost = blobs // their slots are all in that block, and nothing else has their names
				}
			}
			if look(t, disk).Clean() {
				t.Error("nothing was found")
			}
			r := mend(t, disk)
			if int(r.Blobs) != len(all)-lost {
				t.Errorf("%d blobs, want %d\n%s", r.Blobs, len(all)-lost, r)
			}
			if n := serves(t, disk, all); n != lost {
				t.Errorf("%d blobs are missing, want %d", n, lost)
			}
			if _, err := disk.Stat(path); err == nil {
				t.Error("the file is still among the segments")
			}
			name := filepath.Join(mountDir, "quarantine", filepath.Base(path)+".1")
			if _, err := disk.Stat(name); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEvacuationUnderPowerCuts cuts the power before each write-side call of such a repair; the block stays as bad as it
// was. The next repair ends with every blob.
func TestEvacuationUnderPowerCuts(t *testing.T) {
	disk, all := built(t)
	path := firstSegment(t, disk)
	if err := disk.FailReads(path, segments.HeaderSize, 1); err != nil {
		t.Fatal(err)
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
	mend(t, disk)
	mu.Lock()
	defer mu.Unlock()
	if len(images) < 30 {
		t.Errorf("%d calls", len(images))
	}
	for i, image := range images {
		if err := image.FailReads(path, segments.HeaderSize, 1); err != nil && !errors.Is(err, syscall.ENOENT) {
			t.Fatal(err)
		}
		if r := mend(t, image); int(r.Blobs) != len(all) || len(r.Lost) > 0 {
			t.Errorf("cut %d: %s", i, r)
		}
		if n := serves(t, image, all); n != 0 {
			t.Errorf("cut %d: %d blobs are missing", i, n)
		}
	}
}

// TestBadInput80RepairWithoutRoom: a disk that takes nothing ends a repair with an error, and costs nothing. Once it does, the
// next one goes on.
func TestBadInput80RepairWithoutRoom(t *testing.T) {
	for _, why := range []error{syscall.ENOSPC, syscall.EROFS} {
		for _, from := range []int{0, 1, 5, 20, 40} {
			disk, all := built(t)
			path := firstSegment(t, disk)
			if err := disk.FailReads(path, segments.HeaderSize, 1); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			calls := 0
			disk.SetHook(func(op crashfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls > from && op.Kind != crashfs.OpRemove {
					return why
				}
				return nil
			})
			_, err := repair.Mount(t.Context(), disk, mountDir, repair.Options{})
			if !errors.Is(err, why) {
				t.Errorf("%v after %d calls: %v", why, from, err)
			}
			disk.SetHook(nil)
			if r := mend(t, disk); int(r.Blobs) != len(all) {
				t.Errorf("%v after %d calls: %s", why, from, r)
			}
			if n := serves(t, disk, all); n != 0 {
				t.Errorf("%v after %d calls: %d blobs are missing", why, from, n)
			}
		}
	}
}
