package goldentest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/bbolt"

	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// edit changes the bytes of a file.
func edit(t *testing.T, path string, f func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// superblock makes a mount that a newer program wrote, as its superblock says.
func superblock(f func(b []byte) []byte) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		edit(t, filepath.Join(dir, "superblock"), func(b []byte) []byte {
			b = f(b)
			binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli)))
			return b
		})
	}
}

// header makes a segment that a newer program wrote, as its header says. What it was is restored by header again.
func header(at int) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%q, %v", names, err)
		}
		edit(t, names[0], func(b []byte) []byte {
			b[at] ^= 3 // 1 becomes 2 and 0 becomes 3, and back
			binary.LittleEndian.PutUint32(b[72:], segments.Checksum(b[:72]))
			return b
		})
	}
}

// pebbleFormat renames the mark of an index's format to that of one which is to come.
func pebbleFormat(folder ...string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		dir = filepath.Join(append([]string{dir}, folder...)...)
		marks, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
		if err != nil || len(marks) != 1 {
			t.Fatalf("%q, %v", marks, err)
		}
		if err := os.Rename(marks[0], filepath.Join(dir, "marker.format-version.000099.999")); err != nil {
			t.Fatal(err)
		}
	}
}

// rows makes an index whose rows a newer program wrote.
func rows(folder ...string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		inPebble(t, filepath.Join(append([]string{dir}, folder...)...), func(db *pebble.DB) error {
			return db.Set([]byte("m"), []byte{2, 1, 2, 3}, pebble.Sync)
		})
	}
}

// opened is why a store does not open.
func opened(t *testing.T, dir string, mode disk.Mode) error {
	t.Helper()
	o := disk.Options{MountPoint: dir, Mode: mode, MaxSize: 1 << 30, MinFree: 1, Logger: quiet()}
	if mode == disk.ModeSharded {
		o.ShardingSize = 2
	}
	s, err := disk.Open(t.Context(), o)
	if err == nil {
		t.Error("it opens")
		_ = s.Close()
	}
	return err
}

// catalogued is a configuration that has a catalogue over a mount.
func catalogued(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reflector.yaml")
	doc := fmt.Sprintf("store: {db_backed: {path: %q, soft_deletes: true, store: {disk: {mount_point: %q, min_free: 1}}}}\n",
		filepath.Join(unpacked(t, archives(t, "catalogue")[0]), "c.db"), dir)
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustSay demands an error that a person can act on.
func mustSay(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), what) {
		t.Errorf("%v: want %v, which says %q", err, want, what)
	}
}

// TestNewerMount: a store of a newer program is refused by the program and by every command of fsck, which all say what to
// do, and not a byte of it is changed.
func TestNewerMount(t *testing.T) {
	checktest.Except(t, "the stores are those of programs to come")
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		err  error
		says string
	}{
		"superblock, version":  {superblock(func(b []byte) []byte { b[8] = mount.Version + 1; return b }), mount.ErrNewerVersion, "run that version"},
		"superblock, features": {superblock(func(b []byte) []byte { b[23] = 1; return b }), mount.ErrNewerVersion, "run that version"},
		"superblock, longer": {superblock(func(b []byte) []byte {
			b = append(b, make([]byte, 128)...)
			b[8], b[12], b[13] = mount.Version+1, 0, 1
			return b
		}), mount.ErrNewerVersion, "run that version"},
		"files of the index": {pebbleFormat("index"), index.ErrNewerFormat, "run the version"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, "mount", func(t *testing.T, dir string) {
				c.make(t, dir)
				before := tree(t, dir)
				mustSay(t, opened(t, dir, disk.ModeSegments), c.err, c.says)
				to := filepath.Join(t.TempDir(), "to")
				for _, args := range [][]string{
					{"check", "--hash", dir},
					{"sync-db", dir, "--repair", "--config", catalogued(t, dir)},
					{"repair", dir},
					{"repair", "--dry-run", dir},
					{"rebuild-index", dir},
					{"stat", dir},
					{"cat", dir, made(0).Hash().String()},
					{"migrate", "--from", dir, "--to", to, "--max-size", "1GB"},
					{"migrate", "--from", dir, "--to", to, "--max-size", "1GB", "--move"},
					{"migrate", "--from", unpacked(t, archives(t, "files")[0]), "--to", dir, "--max-size", "1GB"},
				} {
					if args[0] == "rebuild-index" && errors.Is(c.err, index.ErrNewerFormat) {
						continue // see TestNewerIndexIsReplaced
					}
					if _, errs := fsck(t, cli.ExitFailed, args...); !strings.Contains(errs, c.says) {
						t.Errorf("%s says %q, want %q in it", args[0], errs, c.says)
					}
					sameTree(t, args[0], dir, before)
				}
			})
		})
	}
}

// TestNewerSegment: a mount may have got one segment of a newer program, as by a copy. The program serves the rest, and
// the segment stays as it is and keeps its rows: with the program that knows it every blob is there. fsck names it,
// and mends nothing beside it.
func TestNewerSegment(t *testing.T) {
	for name, mark := range map[string]func(t *testing.T, dir string){"version": header(8), "features": header(12)} {
		t.Run(name, func(t *testing.T) {
			each(t, "mount", func(t *testing.T, dir string) {
				checktest.After(t, nil, dir)
				mark(t, dir)
				if out, _ := fsck(t, cli.ExitFindings, "check", "--hash", dir); !strings.Contains(out, "run the version of prism that wrote it") {
					t.Error(out)
				}
				segs := tree(t, filepath.Join(dir, "segments"))
				for _, args := range [][]string{
					{"repair", dir},
					{"rebuild-index", dir},
					{"migrate", "--move", "--max-size", "1GB", "--from", dir, "--to", filepath.Join(t.TempDir(), "to")},
				} {
					if _, errs := fsck(t, cli.ExitFailed, args...); !strings.Contains(errs, ": run") {
						t.Errorf("%s says %q", args[0], errs)
					}
					sameTree(t, args[0], filepath.Join(dir, "segments"), segs)
				}

				s := openStore(t, dir, disk.ModeSegments)
				for _, v := range kept() {
					if h, err := s.Get(t.Context(), v.Hash()); err == nil {
						h.Release()
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				const marked = "/0000000000000001.seg" // header takes the first
				if now := tree(t, filepath.Join(dir, "segments")); now[marked] != segs[marked] || now[marked] == "" {
					t.Error("it was changed by the program")
				}
				mark(t, dir)
				mustServe(t, dir, disk.ModeSegments)
			})
		})
	}
}

// TestNewerIndexIsReplaced: an index can be made from the segments, so whoever asks for that gets a new one, and the newer
// one is put aside whole.
func TestNewerIndexIsReplaced(t *testing.T) {
	each(t, "mount", func(t *testing.T, dir string) {
		pebbleFormat("index")(t, dir)
		old := tree(t, filepath.Join(dir, "index"))
		fsck(t, cli.ExitClean, "rebuild-index", dir)
		aside, err := filepath.Glob(filepath.Join(dir, "quarantine", "index*"))
		if err != nil || len(aside) != 1 {
			t.Fatalf("%q, %v", aside, err)
		}
		sameTree(t, "in quarantine", aside[0], old)
		mustServe(t, dir, disk.ModeSegments)
	})
}

// TestNewerRows: the version of the rows is in a row, which Pebble has to be opened for. The program opens it for changes,
// which replays its log: that changes its files and no row. fsck changes nothing.
func TestNewerRows(t *testing.T) {
	checktest.Except(t, "the stores are those of programs to come")
	each(t, "mount", func(t *testing.T, dir string) {
		rows("index")(t, dir)
		before := all(t, filepath.Join(dir, "index"))
		segs := tree(t, filepath.Join(dir, "segments"))
		whole := tree(t, dir)
		for _, args := range [][]string{
			{"check", dir},
			{"check", "--hash", dir},
			{"repair", dir},
			{"repair", "--dry-run", dir},
			{"stat", dir},
			{"cat", dir, made(0).Hash().String()},
			{"migrate", "--from", dir, "--to", filepath.Join(t.TempDir(), "to"), "--max-size", "1GB"},
		} {
			if _, errs := fsck(t, cli.ExitFailed, args...); !strings.Contains(errs, "run the version") {
				t.Errorf("%s says %q", args, errs)
			}
			sameTree(t, args[0], dir, whole)
		}
		mustSay(t, opened(t, dir, disk.ModeSegments), index.ErrNewerFormat, "run the version")
		sameRows(t, filepath.Join(dir, "index"), before)
		sameTree(t, "newer rows", filepath.Join(dir, "segments"), segs)
	})
}

// all is every row of an index, as it is stored.
func all(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	inPebble(t, dir, func(db *pebble.DB) error {
		it, err := db.NewIter(nil)
		if err != nil {
			return err
		}
		for ok := it.First(); ok; ok = it.Next() {
			m[string(it.Key())] = string(it.Value())
		}
		return it.Close()
	})
	return m
}

func sameRows(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	after := all(t, dir)
	if len(after) != len(before) {
		t.Errorf("%d rows, and there were %d", len(after), len(before))
	}
	for k, v := range before {
		if after[k] != v {
			t.Errorf("row %x was changed", k)
		}
	}
}

// TestNewerScrub: where the scrub is says nothing of the store, so one that a newer program wrote is no reason to refuse
// it: fsck leaves it, and the program begins a pass, as without one.
func TestNewerScrub(t *testing.T) {
	each(t, "mount", func(t *testing.T, dir string) {
		const newer = "prism scrub 2: 4 of 7, and more\n"
		path := filepath.Join(dir, "scrub")
		if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"check", "repair", "stat"} {
			fsck(t, cli.ExitClean, command, dir)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != newer {
			t.Errorf("%q, %v", b, err)
		}
		mustServe(t, dir, disk.ModeSegments)
	})
}

func TestNewerFiles(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		same func(t *testing.T, dir string) func()
	}{
		"files of the index": {pebbleFormat(".prism", "index"), func(t *testing.T, dir string) func() {
			before := tree(t, dir)
			return func() { sameTree(t, "opened", dir, before) }
		}},
		"rows": {rows(".prism", "index"), func(t *testing.T, dir string) func() {
			before := all(t, filepath.Join(dir, ".prism", "index"))
			return func() { sameRows(t, filepath.Join(dir, ".prism", "index"), before) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, "files", func(t *testing.T, dir string) {
				c.make(t, dir)
				same := c.same(t, dir)
				mustSay(t, opened(t, dir, disk.ModeSharded), index.ErrNewerFormat, "run the version")
				same()
			})
		})
	}
}

func TestNewerJournal(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		same func(t *testing.T, dir string) func()
	}{
		"files": {pebbleFormat(), func(t *testing.T, dir string) func() {
			before := tree(t, dir)
			return func() { sameTree(t, "opened", dir, before) }
		}},
		"rows": {rows(), func(t *testing.T, dir string) func() {
			before := all(t, dir)
			return func() { sameRows(t, dir, before) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, "journal", func(t *testing.T, dir string) {
				c.make(t, dir)
				same := c.same(t, dir)
				j, err := journal.Open(journal.Options{Dir: dir, Logger: quiet()})
				if err == nil {
					t.Error("it opens")
					_ = j.Close()
				}
				mustSay(t, err, index.ErrNewerFormat, "run the version")
				same()
			})
		})
	}
}

func TestNewerCatalogue(t *testing.T) {
	each(t, "catalogue", func(t *testing.T, dir string) {
		inBolt(t, dir, func(meta *bbolt.Bucket) error {
			return meta.Put([]byte("format"), binary.BigEndian.AppendUint64(nil, 2))
		})
		before := tree(t, dir)
		c, err := bolt.Open(bolt.Options{Path: filepath.Join(dir, "c.db"), Tracking: metadata.TrackBlobs})
		if err == nil {
			t.Error("it opens")
			_ = c.Close()
		}
		mustSay(t, err, metadata.ErrSchema, "install the version")
		sameTree(t, "opened", dir, before)
	})
}
