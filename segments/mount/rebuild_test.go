package mount_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// A request is durable once it returned, is told with its reason, and ends with the new index.
func TestRequestedRebuild(t *testing.T) {
	disk := crashfs.New()
	if err := disk.Mkdir("/m"); err != nil {
		t.Fatal(err)
	}
	if err := disk.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	m, err := mount.Open(disk, "/m", fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, yes, err := m.RebuildRequested(); yes || err != nil {
		t.Fatalf("requested from the start: %v", err)
	}
	for _, why := range []string{"a table is damaged", "another"} {
		if err := m.RequestRebuild(why); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(16) {
		after, _ := disk.Cut(seed)
		m, err := mount.Open(after, "/m", fresh)
		if err != nil {
			t.Fatal(err)
		}
		if why, yes, err := m.RebuildRequested(); !yes || err != nil || why != "a table is damaged" {
			t.Fatalf("seed %d: %q, %v, %v", seed, why, yes, err)
		}
		if err := m.RenewIndex("a table is damaged"); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		final, _ := after.Cut(seed)
		if m, err = mount.Open(final, "/m", fresh); err != nil {
			t.Fatal(err)
		}
		if _, yes, err := m.RebuildRequested(); yes || err != nil {
			t.Fatalf("seed %d: still requested: %v", seed, err)
		}
		if names, err := final.List(m.QuarantineDir()); err != nil || !strings.Contains(strings.Join(names, " "), "index.1") {
			t.Fatalf("seed %d: quarantine holds %v, %v", seed, names, err)
		}
	}
}

// What lies in quarantine is counted, and the oldest goes first when it is more than it may be.
func TestQuarantineIsBounded(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	for i := range 4 {
		write(t, filepath.Join(m.IndexDir(), "table"), strings.Repeat("x", 64<<10))
		if err := m.Quarantine(m.IndexDir(), "damaged"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(m.IndexDir(), 0o755); err != nil {
			t.Fatal(err)
		}
		if n, err := m.QuarantineBytes(); err != nil || n < int64(i+1)*64<<10 || n > int64(i+1)*80<<10 {
			t.Fatalf("%d things count %d bytes, %v", i+1, n, err)
		}
	}
	n, err := m.TrimQuarantine(160 << 10)
	if err != nil || n > 160<<10 || n < 128<<10 {
		t.Fatalf("%d bytes are left, %v", n, err)
	}
	for i, want := range []bool{false, false, true, true} {
		_, err := os.Stat(filepath.Join(m.QuarantineDir(), "index."+string(rune('1'+i))))
		if (err == nil) != want {
			t.Errorf("index.%d: %v, want it there: %v", i+1, err, want)
		}
	}
	// A name that became free is taken again, and is then the youngest.
	write(t, filepath.Join(m.IndexDir(), "table"), strings.Repeat("x", 64<<10))
	if err := m.Quarantine(m.IndexDir(), "damaged"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.TrimQuarantine(80 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(m.QuarantineDir(), "index.1")); err != nil {
		t.Errorf("the youngest is gone: %v", err)
	}
	if err := os.Mkdir(m.IndexDir(), 0o755); err != nil {
		t.Fatal(err)
	}
}
