package journal_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata/journal"
)

// TestReader looks into a journal that is closed and whole, which it stays.
func TestReader(t *testing.T) {
	leaktest.Check(t)
	dir, log := filepath.Join(t.TempDir(), "journal"), slog.New(slog.DiscardHandler)
	if _, err := journal.OpenReader(diskfs.OS(), dir, log); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a journal: %v", err)
	}
	j, err := journal.Open(journal.Options{Dir: dir, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	changed, used := blob.Sum([]byte("changed")), blob.Sum([]byte("used"))
	j.Note(changed, journal.Changed)
	j.Note(used, journal.Used)
	j.SetWhole(j.Losses())
	if _, err := journal.OpenReader(diskfs.OS(), dir, log); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("while it is open: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := journal.OpenReader(diskfs.OS(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	for h, want := range map[blob.Hash]bool{changed: true, used: false, blob.Sum(nil): false} {
		if got, err := r.Changed(h); got != want || err != nil {
			t.Errorf("Changed is %v, %v, want %v", got, err, want)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = journal.Open(journal.Options{Dir: dir, Logger: log}); err != nil {
		t.Fatal(err)
	}
	if !j.Whole() || j.Stats().Entries != 2 {
		t.Errorf("after it was read: %+v", j.Stats())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
