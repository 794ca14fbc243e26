package pebblefs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

func openDB(t *testing.T, vfs vfs.FS, dir string) *pebble.DB {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FS: vfs, Logger: quiet{}, MemTableSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A real database is written through several memtables, so that logs are recycled and tables flushed and compacted,
// closed, opened again and checkpointed.
func TestDatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "index")
	dfs := pebblefs.New(diskfs.OS())
	const keys = 2000
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 100+i%100) }

	db := openDB(t, dfs, dir)
	for i := range keys {
		if err := db.Set(fmt.Appendf(nil, "key %06d", i), value(i), &pebble.WriteOptions{Sync: i%100 == 0}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pebble.Open(dir, &pebble.Options{FS: dfs, Logger: quiet{}}); err == nil {
		t.Fatal("one database was opened twice")
	}
	if err := db.Compact(t.Context(), []byte("a"), []byte("z"), false); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(filepath.Dir(dir), "copy")
	if err := db.Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	for _, d := range []string{dir, copied} {
		db := openDB(t, dfs, d)
		for i := range keys {
			got, closer, err := db.Get(fmt.Appendf(nil, "key %06d", i))
			if err != nil {
				t.Fatalf("%s: key %d: %v", d, i, err)
			}
			if !bytes.Equal(got, value(i)) {
				t.Fatalf("%s: key %d has another value", d, i)
			}
			closer.Close()
		}
		if db.Metrics().Total().TablesCount == 0 {
			t.Fatalf("%s: no table was ever written", d)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, v vfs.FS, name, text string) {
	t.Helper()
	f, err := v.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, v vfs.FS, name string) string {
	t.Helper()
	f, err := v.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCreateLeavesTheOldFileToItsReaders(t *testing.T) {
	v, name := pebblefs.New(diskfs.OS()), filepath.Join(t.TempDir(), "f")
	write(t, v, name, "a long first text")
	old, err := v.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	write(t, v, name, "second")
	if got := read(t, v, name); got != "second" {
		t.Errorf("the new file holds %q", got)
	}
	if got, err := io.ReadAll(old); err != nil || string(got) != "a long first text" {
		t.Errorf("the reader of the old file sees %q, %v", got, err)
	}
}

func TestReuseForWriteKeepsOldBytes(t *testing.T) {
	v, dir := pebblefs.New(diskfs.OS()), t.TempDir()
	write(t, v, filepath.Join(dir, "old"), "0123456789")
	f, err := v.ReuseForWrite(filepath.Join(dir, "old"), filepath.Join(dir, "new"), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"ab", "c"} {
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	info, err := f.Stat()
	if err != nil || info.Size() != 10 || info.Name() != "new" {
		t.Errorf("Stat: %v, %v", info, err)
	}
	f.Close()
	if got := read(t, v, filepath.Join(dir, "new")); got != "abc3456789" {
		t.Errorf("the reused file holds %q", got)
	}
	if _, err := v.Open(filepath.Join(dir, "old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
}

func TestFolders(t *testing.T) {
	v, root := pebblefs.New(diskfs.OS()), t.TempDir()
	deep := filepath.Join(root, "a", "b", "c")
	for range 2 {
		if err := v.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, v, filepath.Join(deep, "f"), strings.Repeat("x", 9))
	if err := v.MkdirAll(filepath.Join(deep, "f"), 0o755); err == nil {
		t.Error("MkdirAll of a file succeeds")
	}
	if info, err := v.Stat(filepath.Join(deep, "f")); err != nil || info.Size() != 9 || info.IsDir() {
		t.Errorf("Stat: %v, %v", info, err)
	}
	d, err := v.OpenDir(deep)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := v.OpenDir(filepath.Join(deep, "f")); err == nil {
		t.Error("OpenDir of a file succeeds")
	}
	if names, err := v.List(deep); err != nil || !slices.Equal(names, []string{"f"}) {
		t.Errorf("List: %v, %v", names, err)
	}
	for range 2 {
		if err := v.RemoveAll(filepath.Join(root, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := v.List(root); err != nil || len(names) != 0 {
		t.Errorf("after RemoveAll: %v, %v", names, err)
	}
	if u, err := v.GetDiskUsage(root); err != nil || u.TotalBytes == 0 || u.AvailBytes == 0 {
		t.Errorf("GetDiskUsage: %+v, %v", u, err)
	}
}
