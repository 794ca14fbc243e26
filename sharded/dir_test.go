package sharded_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/sharded"
)

func open(t *testing.T, root string, prefix int) *sharded.Dir {
	t.Helper()
	d, err := sharded.Open(diskfs.OS(), root, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// verified makes a blob of some bytes.
func verified(t testing.TB, data string) blob.Verified {
	t.Helper()
	v, err := blob.Verify(blob.Sum([]byte(data)), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// plant puts a file where an old cache has its blobs.
func plant(t *testing.T, root, data string, h blob.Hash, prefix int) string {
	t.Helper()
	path := filepath.Join(root, h.String()[:prefix], h.String())
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, d *sharded.Dir, h blob.Hash) string {
	t.Helper()
	f, size, err := d.Open(h)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPathsAreThoseOfExistingCaches(t *testing.T) {
	h := blob.Sum([]byte("x"))
	for _, prefix := range []int{0, 1, 2, 3, 95} {
		root := t.TempDir()
		path := plant(t, root, "x", h, prefix)
		d := open(t, root, prefix)
		if d.Path(h) != path || content(t, d, h) != "x" {
			t.Errorf("prefix %d: %s, want %s", prefix, d.Path(h), path)
		}
		if info, err := d.Stat(h); err != nil || info.Size != 1 || time.Since(info.Used) > time.Hour {
			t.Errorf("%+v, %v", info, err)
		}
	}
	for _, prefix := range []int{-1, 96, 1000} {
		if _, err := sharded.Open(diskfs.OS(), t.TempDir(), prefix); !errors.Is(err, sharded.ErrPrefix) {
			t.Errorf("prefix %d: %v", prefix, err)
		}
	}
}

func TestWriteReadRemove(t *testing.T) {
	for _, prefix := range []int{0, 2} {
		for _, durable := range []bool{false, true} {
			t.Run(fmt.Sprint(prefix, durable), func(t *testing.T) { writeReadRemove(t, prefix, durable) })
		}
	}
}

func writeReadRemove(t *testing.T, prefix int, durable bool) {
	root := t.TempDir()
	d := open(t, root, prefix)
	v := verified(t, "payload")
	write := func() {
		t.Helper()
		if durable {
			if err := d.WriteDurable(v); err != nil {
				t.Fatal(err)
			}
			return
		}
		w, err := d.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		if w.Hash() != v.Hash() {
			t.Error("another hash")
		}
		for _, err := range d.Sync([]*sharded.Written{w}) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	if got := content(t, d, v.Hash()); got != "payload" {
		t.Errorf("%q", got)
	}
	plant(t, root, "wrong bytes under the name", v.Hash(), prefix)
	write()
	if got := content(t, d, v.Hash()); got != "payload" {
		t.Errorf("written over: %q", got)
	}
	f, _, err := d.Open(v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 {
		if err := d.Remove(v.Hash()); err != nil {
			t.Error(err)
		}
	}
	if err := d.Remove(blob.Sum(nil)); err != nil { // its folder is missing too
		t.Error(err)
	}
	b := make([]byte, 7)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "payload" {
		t.Errorf("open file after removal: %q, %v", b, err)
	}
	if _, _, err := d.Open(v.Hash()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := d.Stat(v.Hash()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestWriteWhereTmpOrFolderVanished(t *testing.T) {
	root := t.TempDir()
	d := open(t, root, 2)
	v := verified(t, "x")
	for range 2 {
		if err := d.WriteDurable(v); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"tmp", v.Hash().String()[:2]} {
			if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWalkSeesBlobsOnly(t *testing.T) {
	for _, prefix := range []int{0, 2} {
		root := t.TempDir()
		want := map[blob.Hash]bool{}
		for i := range 50 {
			data := fmt.Sprint(i)
			plant(t, root, data, blob.Sum([]byte(data)), prefix)
			want[blob.Sum([]byte(data))] = true
		}
		stray := blob.Sum([]byte("stray"))
		plant(t, root, "in a folder of another size", stray, 3)
		if prefix == 2 {
			plant(t, root, "flat", stray, 0)
			strayInto(t, root)
		}
		for _, name := range []string{"notes.txt", "lost+found", strings.Repeat("A", 96)} {
			if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d := open(t, root, prefix)
		plant(t, filepath.Join(root, "tmp"), "leftover", blob.Sum([]byte("leftover")), 0)

		seen := map[blob.Hash]bool{}
		_ = d.Walk(t.Context(), func(h blob.Hash) error {
			if !want[h] || seen[h] {
				t.Errorf("prefix %d: saw %s", prefix, h.Short())
			}
			seen[h] = true
			return nil
		})
		if len(seen) != len(want) {
			t.Errorf("prefix %d: %d of %d", prefix, len(seen), len(want))
		}

		stop := errors.New("stop")
		calls := 0
		if err := d.Walk(t.Context(), func(blob.Hash) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
			t.Errorf("prefix %d: %v after %d calls", prefix, err, calls)
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls = 0
		err := d.Walk(ctx, func(blob.Hash) error { calls++; cancel(); return nil })
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("prefix %d: %v after %d calls", prefix, err, calls)
		}
	}
}

// strayInto puts a blob's name into the folder of another prefix, and a file where a folder of blobs could be.
func strayInto(t *testing.T, root string) {
	t.Helper()
	var free []string
	for i := range 256 {
		if _, err := os.Stat(filepath.Join(root, fmt.Sprintf("%02x", i))); err != nil {
			free = append(free, filepath.Join(root, fmt.Sprintf("%02x", i)))
		}
	}
	name := strings.Repeat("0", 96)
	if filepath.Base(free[0]) == "00" {
		name = strings.Repeat("1", 96)
	}
	if err := errors.Join(os.Mkdir(free[0], 0o755), os.WriteFile(filepath.Join(free[0], name), nil, 0o644),
		os.WriteFile(free[1], nil, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestCleanTempRemovesLeftoversOnly(t *testing.T) {
	root := t.TempDir()
	d := open(t, root, 2)
	tmp := filepath.Join(root, "tmp")
	old, young := blob.Sum([]byte("old")), blob.Sum([]byte("young"))
	plant(t, tmp, "", old, 0)
	plant(t, tmp, "", young, 0)
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(tmp, old.String()), yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prism-0123456789abcdef-1", "editor.swp", "notes"} {
		path := filepath.Join(tmp, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Chtimes(path, yesterday, yesterday)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(tmp, "prism-folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := d.CleanTemp(t.Context())
	if err != nil || n != 2 {
		t.Errorf("removed %d, %v", n, err)
	}
	for name, want := range map[string]bool{
		old.String(): false, young.String(): true, "prism-0123456789abcdef-1": false,
		"editor.swp": true, "notes": true, "prism-folder": true,
	} {
		if _, err := os.Stat(filepath.Join(tmp, name)); (err == nil) != want {
			t.Errorf("%s: %v, want there %v", name, err, want)
		}
	}
}

func TestForeignThingsUnderABlobsName(t *testing.T) {
	root := t.TempDir()
	d := open(t, root, 0)
	v := verified(t, "x")
	if err := os.Mkdir(d.Path(v.Hash()), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(v.Hash()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder is found as a blob: %v", err)
	}
	if err := d.WriteDurable(v); err == nil {
		t.Error("a folder was written over")
	}
	if _, err := d.Write(v); err == nil {
		t.Error("a folder was written over")
	}
	if _, err := d.Write(blob.Verified{}); !errors.Is(err, blob.ErrEmpty) {
		t.Errorf("zero Verified: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

// TestAtLooksOnly reads and removes blobs of a root that nothing is made in.
func TestAtLooksOnly(t *testing.T) {
	root := t.TempDir()
	v := verified(t, "flat")
	plant(t, root, "flat", v.Hash(), 0)
	w := verified(t, "in a folder")
	plant(t, root, "in a folder", w.Hash(), 3)
	if err := os.MkdirAll(filepath.Join(root, "index"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := sharded.Prefixes(diskfs.OS(), root)
	if err != nil || !slices.Equal(got, []int{0, 3}) {
		t.Fatalf("prefixes %v, %v", got, err)
	}
	for prefix, h := range map[int]blob.Hash{0: v.Hash(), 3: w.Hash()} {
		d := sharded.At(diskfs.OS(), root, prefix)
		var seen []blob.Hash
		if err := d.Walk(t.Context(), func(h blob.Hash) error { seen = append(seen, h); return nil }); err != nil || !slices.Equal(seen, []blob.Hash{h}) {
			t.Errorf("prefix %d: saw %v, %v", prefix, seen, err)
		}
		if err := d.Unlink(h); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "tmp")); err == nil {
		t.Error("tmp was made")
	}
	if _, err := sharded.Prefixes(diskfs.OS(), filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing root: %v", err)
	}
}
