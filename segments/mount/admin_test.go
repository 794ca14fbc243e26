package mount_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

func TestAdminNote(t *testing.T) {
	fsys, dir := diskfs.OS(), t.TempDir()
	if got, known := mount.ReadAdmin(fsys, dir); known {
		t.Errorf("%q in an empty folder", got)
	}
	for _, path := range []string{"/run/prism/a", "/run/prism/b.sock"} {
		if err := mount.WriteAdmin(fsys, dir, path); err != nil {
			t.Fatal(err)
		}
		if got, known := mount.ReadAdmin(fsys, dir); !known || got != path {
			t.Errorf("%q, %v; want %s", got, known, path)
		}
	}
	layout, err := mount.Detect(fsys, dir)
	if err != nil || layout.Kind != mount.LayoutSegments {
		t.Errorf("a folder with the note alone: %v, %v", layout, err)
	}
	for _, junk := range []string{"", "\n", "/run/a", "/run/a\n/run/b\n", "/run/\x00\n", string(make([]byte, 5000))} {
		if err := os.WriteFile(filepath.Join(dir, "admin"), []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, known := mount.ReadAdmin(fsys, dir); known {
			t.Errorf("%q reads as %q", junk, got)
		}
	}
	for range 2 {
		if err := mount.RemoveAdmin(fsys, dir); err != nil {
			t.Error(err)
		}
	}
}
