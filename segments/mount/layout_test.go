package mount_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

func TestDetect(t *testing.T) {
	blobName := strings.Repeat("a1", 48)
	for _, c := range []struct {
		name     string
		names    []string
		kind     mount.LayoutKind
		prefixes []int
	}{
		{"empty", nil, mount.LayoutEmpty, nil},
		{"formatted", []string{"lost+found/"}, mount.LayoutEmpty, nil},
		{"dots and tmp", []string{".Trash-0/", ".x", "tmp/"}, mount.LayoutEmpty, nil},
		{"segments", []string{"superblock", "lock", "segments/", "index/"}, mount.LayoutSegments, nil},
		{"lost superblock", []string{"lock", "segments/", "index/"}, mount.LayoutSegments, nil},
		{"half made", []string{"lock"}, mount.LayoutSegments, nil},
		{"flat", []string{blobName, "tmp/"}, mount.LayoutSharded, []int{0}},
		{"two", []string{"a1/", "ff/", "tmp/"}, mount.LayoutSharded, []int{2}},
		{"three", []string{"a1b/", ".prism/"}, mount.LayoutSharded, []int{3}},
		{"both", []string{"a1/", "ff/", "b/", blobName}, mount.LayoutSharded, []int{0, 1, 2}},
		{"cache with notes", []string{"a1/", "notes.txt"}, mount.LayoutSharded, []int{2}},
		{"upper case", []string{"A1/"}, mount.LayoutForeign, nil},
		{"foreign", []string{"photos/"}, mount.LayoutForeign, nil},
		{"ours among foreign", []string{"segments/", "photos/"}, mount.LayoutForeign, nil},
		{"too long", []string{blobName + "a"}, mount.LayoutForeign, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range c.names {
				if d, ok := strings.CutSuffix(name, "/"); ok {
					if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
						t.Fatal(err)
					}
				} else {
					write(t, filepath.Join(dir, name), "")
				}
			}
			got, err := mount.Detect(diskfs.OS(), dir)
			if err != nil || got.Kind != c.kind || !slices.Equal(got.Prefixes, c.prefixes) {
				t.Errorf("%+v, %v", got, err)
			}
			if got.String() == "" {
				t.Error("no words for it")
			}
			if c.kind == mount.LayoutSharded && !got.HasPrefix(c.prefixes[0]) {
				t.Error("lacks what it found")
			}
		})
	}
	if got, err := mount.Detect(diskfs.OS(), filepath.Join(t.TempDir(), "none")); got.Kind != mount.LayoutMissing || err != nil {
		t.Errorf("missing: %+v, %v", got, err)
	}
}
