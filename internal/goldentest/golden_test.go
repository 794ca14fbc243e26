package goldentest_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// mustServe opens a store and reads every blob; those that were deleted are not there. A blob can be put.
func mustServe(t *testing.T, dir string, mode disk.Mode) {
	t.Helper()
	checktest.After(t, nil, dir)
	s := openStore(t, dir, mode)
	for i := range sizes {
		v := made(i)
		h, err := s.Get(t.Context(), v.Hash())
		if i >= len(sizes)-deleted {
			if !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("blob %d was deleted: %v", i, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("blob %d: %v", i, err)
			continue
		}
		var got bytes.Buffer
		if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), v.Bytes()) {
			t.Errorf("blob %d: %v, %d bytes", i, err, got.Len())
		}
		h.Release()
	}
	if err := errors.Join(s.Put(t.Context(), made(len(sizes)-1), blob.KindContent), s.Delete(t.Context(), made(len(sizes)-1).Hash())); err != nil {
		t.Errorf("a new blob: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestMountIsServed(t *testing.T) {
	each(t, "mount", func(t *testing.T, dir string) { mustServe(t, dir, disk.ModeSegments) })
}

func TestFilesAreServed(t *testing.T) {
	each(t, "files", func(t *testing.T, dir string) { mustServe(t, dir, disk.ModeSharded) })
}

// TestMountIsChecked looks at a mount, prints every segment and every blob, and changes nothing but what a replay of the
// index's log does.
func TestMountIsChecked(t *testing.T) {
	each(t, "mount", func(t *testing.T, dir string) {
		segs := tree(t, filepath.Join(dir, "segments"))
		stop := "the last run ended in good order"
		if strings.Contains(t.Name(), "unclean") {
			stop = "did not end in good order"
		}
		if out, _ := fsck(t, cli.ExitClean, "check", "--hash", dir); !strings.Contains(out, "clean") || !strings.Contains(out, stop) {
			t.Error(out)
		}
		fsck(t, cli.ExitClean, "stat", dir)
		var dumped string
		for name := range segs {
			out, _ := fsck(t, cli.ExitClean, "dump", filepath.Join(dir, "segments", name))
			dumped += out
		}
		for _, v := range kept() {
			if !strings.Contains(dumped, v.Hash().String()) {
				t.Errorf("no slot of %s", v.Hash().Short())
			}
			if out, _ := fsck(t, cli.ExitClean, "cat", dir, v.Hash().String()); out != string(v.Bytes()) {
				t.Errorf("cat: %d bytes", len(out))
			}
		}
		sameTree(t, "after reading", filepath.Join(dir, "segments"), segs)
	})
}

// TestMountIsRepaired: there is nothing to mend, and an index that is made from the segments has the same blobs.
func TestMountIsRepaired(t *testing.T) {
	for _, command := range []string{"repair", "rebuild-index"} {
		each(t, "mount", func(t *testing.T, dir string) {
			if out, _ := fsck(t, cli.ExitClean, command, dir); strings.Contains(out, "LOST") {
				t.Error(out)
			}
			mustServe(t, dir, disk.ModeSegments)
		})
	}
}

// TestMigrate moves every version into what is written now, in both layouts.
func TestMigrate(t *testing.T) {
	for _, what := range []string{"mount", "files"} {
		each(t, what, func(t *testing.T, dir string) {
			for _, layout := range []string{"segments", "sharded"} {
				to := filepath.Join(filepath.Dir(dir), layout)
				args := []string{"migrate", "--from", dir, "--to", to, "--max-size", "1GB", "--layout", layout}
				mode := disk.ModeSegments
				if layout == "sharded" {
					args, mode = append(args, "--sharding-size", "2"), disk.ModeSharded
				}
				fsck(t, cli.ExitClean, args...)
				mustServe(t, to, mode)
				if mode != disk.ModeSegments {
					continue
				}
				if s, err := mount.ReadSuperblock(diskfs.OS(), to); err != nil || s.Version != mount.Version {
					t.Errorf("migrated to version %d, %v", s.Version, err)
				}
			}
		})
	}
}

func TestJournalIsRead(t *testing.T) {
	each(t, "journal", func(t *testing.T, dir string) {
		j, err := journal.Open(journal.Options{Dir: dir, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		entries, _, err := j.Next(0, 100)
		if err != nil || len(entries) != len(sizes) {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		has := map[blob.Hash]journal.News{}
		for _, e := range entries {
			has[e.Hash] = e.News
		}
		for i := range sizes {
			if has[made(i).Hash()] != newsOf(i) {
				t.Errorf("blob %d: news %v, want %v", i, has[made(i).Hash()], newsOf(i))
			}
		}
	})
}

func TestCatalogueIsRead(t *testing.T) {
	each(t, "catalogue", func(t *testing.T, dir string) {
		c := openCatalogue(t, dir)
		defer c.Close()
		rows := map[blob.Hash]metadata.Row{}
		err := c.Walk(t.Context(), blob.Hash{}, func(r metadata.Row) error { rows[r.Hash] = r; return nil })
		if err != nil {
			t.Fatal(err)
		}
		for i := range sizes {
			h := made(i).Hash()
			gone := i >= len(sizes)-deleted
			if r := rows[h]; r.Length != sizes[i] || r.Stored == gone {
				t.Errorf("blob %d: %+v", i, r)
			}
			if s, err := c.Status(t.Context(), h); err != nil || s.Blocked != gone || s.Stored == gone {
				t.Errorf("blob %d: %+v, %v", i, s, err)
			}
		}
	})
}

// TestSegmentIsWrittenAlike has the writer of today write the records of the last generation's segments again, with their
// names and times: it makes the same files, byte for byte.
func TestSegmentIsWrittenAlike(t *testing.T) {
	dir := unpacked(t, filepath.Join("testdata", "mount-"+last()+".tar.gz"))
	super, err := mount.ReadSuperblock(diskfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	files := tree(t, filepath.Join(dir, "segments"))
	for name, want := range files {
		h, err := segments.ParseHeader([]byte(want)[:segments.HeaderSize])
		if err != nil || h.Mount != super.ID {
			t.Fatalf("%s: %+v, %v", name, h, err)
		}
		to := filepath.Join(t.TempDir(), "again.seg")
		again, err := segments.Create(diskfs.OS(), to, h)
		if err != nil {
			t.Fatal(err)
		}
		old := segments.At(diskfs.OS(), filepath.Join(dir, "segments", name), h.Mount, h.ID)
		_, err = old.Scan(0, func(rec segments.Record) error {
			loc, ok := again.Reserve(rec.Length)
			if !ok || loc.Slot != rec.Slot || loc.Offset != rec.Offset {
				t.Errorf("reserved %+v for %+v", loc, rec.Location)
			}
			dead := rec.Dead
			rec.Dead = false
			if err := again.Write(rec, payloadOf(t, rec.Hash)); err != nil || !dead {
				return err
			}
			return errors.Join(again.MarkDead(rec.Slot), again.Punch(rec.Offset, segments.Blocks(rec.Length)))
		})
		again.Seal()
		if err = errors.Join(err, again.GiveBack(again.Tail()), again.Sync(), again.Close(), old.Close()); err != nil {
			t.Fatal(err)
		}
		if got := tree(t, filepath.Dir(to))["/again.seg"]; got != want {
			t.Errorf("%s is written otherwise: %d bytes, want %d, the first of another value at %d", name, len(got), len(want), differ(got, want))
		}
	}
}

// payloadOf is the blob of a name.
func payloadOf(t *testing.T, h blob.Hash) []byte {
	t.Helper()
	for i := range sizes {
		if v := made(i); v.Hash() == h {
			return v.Bytes()
		}
	}
	t.Fatalf("no blob is called %s", h.Short())
	return nil
}

// differ is where two texts begin to differ.
func differ(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
