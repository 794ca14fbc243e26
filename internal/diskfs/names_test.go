//go:build linux

package diskfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// plain hides everything but the interface, so that EachName falls back to List.
type plain struct{ diskfs.FS }

func TestEachName(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 3000 {
		name := fmt.Sprintf("%04d", i)
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, fsys := range map[string]diskfs.FS{"os": diskfs.OS(), "list": plain{diskfs.OS()}} {
		var got []string
		err := diskfs.EachName(fsys, dir, func(name string) error { got = append(got, name); return nil })
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d names, %v", name, len(got), err)
		}
		stop, calls := errors.New("stop"), 0
		err = diskfs.EachName(fsys, dir, func(string) error { calls++; return stop })
		if err != stop || calls != 1 {
			t.Errorf("%s: %v after %d calls", name, err, calls)
		}
		if err := diskfs.EachName(fsys, filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: missing folder: %v", name, err)
		}
	}
}
