package mount_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// The superblock of a mount that is in use can be read; what is none, or is damaged, is an error.
func TestReadSuperblock(t *testing.T) {
	dir := t.TempDir()
	if _, err := mount.ReadSuperblock(diskfs.OS(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
	m := open(t, dir)
	got, err := mount.ReadSuperblock(diskfs.OS(), dir)
	if err != nil || got != m.Superblock() {
		t.Errorf("%+v, %v, want %+v", got, err, m.Superblock())
	}
	if err := os.WriteFile(filepath.Join(dir, "superblock"), []byte("PRISMSEG garbage of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mount.ReadSuperblock(diskfs.OS(), dir); !errors.Is(err, mount.ErrDamaged) {
		t.Errorf("garbage: %v", err)
	}
}

func TestScrubPosition(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	if _, ok := m.ReadScrub(); ok {
		t.Error("a fresh mount has a position")
	}
	for _, want := range []mount.ScrubPosition{
		{Began: time.Unix(0, 0)},
		{Segment: 1<<63 + 7, Slot: 1<<32 - 1, Began: time.Unix(1_900_000_000, 0)},
	} {
		if err := m.WriteScrub(want); err != nil {
			t.Fatal(err)
		}
		if got, ok := m.ReadScrub(); !ok || got.Segment != want.Segment || got.Slot != want.Slot || !got.Began.Equal(want.Began) {
			t.Errorf("%+v came back as %+v, %t", want, got, ok)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "scrub.tmp")); err == nil {
		t.Error("the temporary file is left")
	}
	if err := os.WriteFile(filepath.Join(dir, "scrub"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.ReadScrub(); ok {
		t.Error("garbage was taken for a position")
	}
}
