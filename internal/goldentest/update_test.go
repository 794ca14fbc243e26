package goldentest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/bbolt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// segmentSize is that of the segment stores: the smallest that takes every blob.
const segmentSize = blob.MaxSize

// generation is the versions of the formats on disk at one time. The number of a generation, from 1 on, is that of its
// archives.
type generation struct {
	superblock, segments, rows uint32
	pebble                     uint64
	catalogue                  uint64
}

// generations are all that there ever were, the last that is written now.
func generations() []generation {
	return []generation{
		{superblock: 1, segments: 1, rows: 1, pebble: 21, catalogue: 1},
	}
}

// TestGenerations: a format that gets another version gets a generation, and so archives of its own.
func TestGenerations(t *testing.T) {
	all := generations()
	now := generation{
		superblock: mount.Version, segments: segments.Version, rows: rowsVersion(t), pebble: index.FormatVersion, catalogue: catalogueVersion(t),
	}
	if last := all[len(all)-1]; now != last {
		t.Errorf("what is written now is %+v, and the last generation is %+v: add one, and run the test with -update", now, last)
	}
	for i := range all {
		for _, what := range []string{"mount", "mount-unclean", "files", "journal", "catalogue"} {
			if _, err := os.Stat(filepath.Join("testdata", fmt.Sprintf("%s-%d.tar.gz", what, i+1))); err != nil {
				t.Errorf("generation %d: %v: an archive is never removed; -update makes those of the last generation", i+1, err)
			}
		}
	}
}

// rowsVersion is the version that the index writes into its meta row.
func rowsVersion(t *testing.T) (v uint32) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := openStore(t, dir, disk.ModeSegments).Close(); err != nil {
		t.Fatal(err)
	}
	inPebble(t, filepath.Join(dir, "index"), func(db *pebble.DB) error {
		row, closer, err := db.Get([]byte("m"))
		if err != nil {
			return err
		}
		v = uint32(row[0])
		return closer.Close()
	})
	return v
}

// inPebble changes an index without package index.
func inPebble(t *testing.T, dir string, f func(db *pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion), Logger: noLog{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// noLog is a Pebble that says nothing.
type noLog struct{}

func (noLog) Infof(string, ...any)  {}
func (noLog) Errorf(string, ...any) {}
func (noLog) Fatalf(string, ...any) {}

// catalogueVersion is the version that is written into a new catalogue.
func catalogueVersion(t *testing.T) (v uint64) {
	t.Helper()
	dir := writeCatalogue(t, t.TempDir())
	inBolt(t, dir, func(meta *bbolt.Bucket) error {
		v = binary.BigEndian.Uint64(meta.Get([]byte("format")))
		return nil
	})
	return v
}

// inBolt changes what a catalogue says of itself.
func inBolt(t *testing.T, dir string, f func(meta *bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "c.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bbolt.Tx) error { return f(tx.Bucket([]byte("meta"))) }), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestUpdate makes the archives that are missing.
func TestUpdate(t *testing.T) {
	if !*update {
		t.Log("-update makes the archives that are missing")
		return
	}
	for what, write := range map[string]func(t *testing.T, dir string) string{
		"mount":         func(t *testing.T, dir string) string { return writeStore(t, dir, disk.ModeSegments, false) },
		"mount-unclean": func(t *testing.T, dir string) string { return writeStore(t, dir, disk.ModeSegments, true) },
		"files":         func(t *testing.T, dir string) string { return writeStore(t, dir, disk.ModeSharded, false) },
		"journal":       writeJournal,
		"catalogue":     writeCatalogue,
	} {
		path := filepath.Join("testdata", what+"-"+last()+".tar.gz")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		dir := write(t, filepath.Join(t.TempDir(), "m"))
		if err := pack(dir, path); err != nil {
			t.Fatal(err)
		}
	}
}

// writeStore writes the blobs. The copy of one that is killed is made while it is open; all that was put is durable.
func writeStore(t *testing.T, dir string, mode disk.Mode, killed bool) string {
	t.Helper()
	s := openStore(t, dir, mode)
	for i := range sizes {
		if err := s.Put(t.Context(), made(i), kindOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := len(sizes) - deleted; i < len(sizes); i++ {
		if err := s.Delete(t.Context(), made(i).Hash()); err != nil {
			t.Fatal(err)
		}
	}
	if killed {
		copied := filepath.Join(t.TempDir(), "m")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		dir = copied
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openStore(t *testing.T, dir string, mode disk.Mode) *disk.Store {
	t.Helper()
	o := disk.Options{MountPoint: dir, Mode: mode, MaxSize: 1 << 30, MinFree: 1, Sync: "always", Logger: quiet()}
	if mode == disk.ModeSharded {
		o.ShardingSize = 2
	} else {
		o.SegmentSize = segmentSize
	}
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WaitRecovered(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// writeJournal notes that every blob was stored or used.
func writeJournal(t *testing.T, dir string) string {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: dir, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range sizes {
		if err := j.NoteDurably(made(i).Hash(), newsOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// newsOf is what a journal has of a blob.
func newsOf(i int) journal.News {
	if i%2 == 0 {
		return journal.Changed
	}
	return journal.Changed | journal.Used
}

// writeCatalogue notes every blob, the last of them as deleted and as blocked.
func writeCatalogue(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	c := openCatalogue(t, dir)
	var rows []metadata.Blob
	for i := range sizes {
		rows = append(rows, metadata.Blob{Hash: made(i).Hash(), Length: sizes[i]})
	}
	gone := []blob.Hash{made(8).Hash(), made(9).Hash()}
	access := metadata.Access{Hash: made(0).Hash(), At: time.Unix(1_700_000_000, 0)}
	if err := errors.Join(
		c.PutBlobs(t.Context(), rows), c.Delete(t.Context(), gone), c.Block(t.Context(), gone),
		c.Touch(t.Context(), []metadata.Access{access}), c.Close(),
	); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openCatalogue(t *testing.T, dir string) *bolt.Catalogue {
	t.Helper()
	c, err := bolt.Open(bolt.Options{Path: filepath.Join(dir, "c.db"), Tracking: metadata.TrackBlobs, SoftDeletes: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// last is the number of the last generation.
func last() string { return fmt.Sprint(len(generations())) }
