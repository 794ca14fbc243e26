package engine_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// small are options for a mount in memory with small segments, which flushes when told to.
func small(fs *crashfs.FS) engine.Options {
	return engine.Options{
		FS: fs, Dir: enginetest.Dir, MinFree: 1, SegmentSize: 4 << 20, ActiveSegments: 1, SyncInterval: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// filled is a mount in memory that holds blobs and is closed, with the index in tables.
func filled(t *testing.T, n int) (*crashfs.FS, []blob.Verified) {
	t.Helper()
	fs := mountFS(t)
	var all []blob.Verified
	for range n {
		all = append(all, randomBlob(t, 100))
	}
	for i := range 2 { // the second start makes tables of the first one's log
		e, err := engine.Open(t.Context(), small(fs))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all[:n*(1-i)] {
			mustPut(t, e, v)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs, all
}

// quarantined are the indexes in quarantine.
func quarantined(t *testing.T, fs *crashfs.FS) []string {
	t.Helper()
	names, err := fs.List(filepath.Join(enginetest.Dir, "quarantine"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "index.") })
}

// mustServeAll opens the mount twice: everything is there, and one index was put aside in all.
func mustServeAll(t *testing.T, fs *crashfs.FS, all []blob.Verified) {
	t.Helper()
	for range 2 {
		e, err := engine.Open(t.Context(), small(fs))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.WaitRecovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			mustGet(t, e, v)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if names := quarantined(t, fs); len(names) != 1 {
			t.Fatalf("in quarantine lie %v, want one index", names)
		}
	}
}

// TestDamageFoundWhileServing damages blob rows below an engine that is open: whoever meets them latches the index, and
// the next start makes it anew.
func TestDamageFoundWhileServing(t *testing.T) {
	t.Run("noted at once", func(t *testing.T) { damageFoundWhileServing(t, nil) })
	t.Run("noted by Close", func(t *testing.T) {
		failed := false
		damageFoundWhileServing(t, func(op crashfs.Op) error {
			if op.Kind == crashfs.OpCreate && filepath.Dir(op.Path) == enginetest.Dir && !failed {
				failed = true
				return syscall.ENOSPC
			}
			return nil
		})
		if !failed {
			t.Error("nothing was to be noted")
		}
	})
}

func damageFoundWhileServing(t *testing.T, hook func(crashfs.Op) error) {
	fs, all := filled(t, 400)
	e, err := engine.Open(t.Context(), small(fs))
	if err != nil {
		t.Fatal(err)
	}
	damageTables(t, fs, filepath.Join(enginetest.Dir, "index"))
	fs.SetHook(hook)
	for _, v := range all {
		if h, err := e.Get(t.Context(), v.Hash()); err == nil {
			h.Release()
		}
	}
	eventually(t, "the index to latch", func() bool { return e.Stats().IndexFailed })
	answers(t, "Close", func() { _ = e.Close() })
	fs.SetHook(nil)
	if names := quarantined(t, fs); len(names) != 0 {
		t.Fatalf("before the restart there lie %v in quarantine", names)
	}
	mustServeAll(t, fs, all)
}

// damageTables overwrites bytes in every quarter of the tables that hold more than a few rows.
func damageTables(t *testing.T, fs *crashfs.FS, dir string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, name := range names {
		f, err := fs.Open(filepath.Join(dir, name), true)
		if err != nil || filepath.Ext(name) != ".sst" {
			continue
		}
		if size, err := f.Size(); err == nil && size > 16<<10 {
			damaged++
			for i := range int64(3) {
				if _, err := f.WriteAt([]byte("damage"), 100+i*size/4); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if damaged == 0 {
		t.Fatalf("no table to damage among %v", names)
	}
}

// TestDamagedSegmentRow has a row that no open of the index looks at, and that the engine needs to start.
func TestDamagedSegmentRow(t *testing.T) {
	fs, all := filled(t, 20)
	db, err := pebble.Open(filepath.Join(enginetest.Dir, "index"), &pebble.Options{
		FS: pebblefs.New(fs), FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte{'s', 0, 0, 0, 0, 0, 0, 0, 9}, []byte{99}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	mustServeAll(t, fs, all)
}
