package goldentest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

var update = flag.Bool("update", false, "make the archives that are missing")

// quiet logs nothing.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// sizes are those of the blobs of every archive. The last two were deleted.
var sizes = [...]int{1, 2, 4095, 4096, 4097, 5000, 12_000, 700, 300, 9000}

const deleted = 2

// made is blob number i of every archive. They are never made otherwise.
func made(i int) blob.Verified {
	pattern := make([]byte, 64) // again and again, so that archives are small
	_, _ = rand.NewChaCha8([32]byte{'g', byte(i)}).Read(pattern)
	p := bytes.Repeat(pattern, sizes[i]/len(pattern)+1)[:sizes[i]]
	v, err := blob.Verify(blob.Sum(p), p)
	if err != nil {
		panic(err) // cannot be: that is its name
	}
	return v
}

// kindOf is the kind that a blob was put with.
func kindOf(i int) blob.Kind {
	if i%4 == 3 {
		return blob.KindSD
	}
	return blob.KindContent
}

// kept are the blobs that an archive has.
func kept() (out []blob.Verified) {
	for i := range len(sizes) - deleted {
		out = append(out, made(i))
	}
	return out
}

// archives are the versions of something, as the paths of their archives.
func archives(t *testing.T, what string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", what+"-*.tar.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives of %s (%v): make them with -update", what, err)
	}
	return paths
}

// each runs a test over a fresh copy of each version of something.
func each(t *testing.T, what string, f func(t *testing.T, dir string)) {
	for _, path := range archives(t, what) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".tar.gz"), func(t *testing.T) { f(t, unpacked(t, path)) })
	}
}

// blockSize is what holes are made of.
const blockSize = 4096

// unpacked is the folder of an archive, with its holes.
func unpacked(t *testing.T, path string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := unpack(path, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func unpack(path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(to, 0o700); err != nil {
				return err
			}
			continue
		}
		data, err := io.ReadAll(r)
		if err == nil {
			err = writeSparse(to, data)
		}
		if err = errors.Join(err, os.Chtimes(to, h.ModTime, h.ModTime)); err != nil {
			return err
		}
	}
}

// writeSparse leaves holes where whole blocks are zero.
func writeSparse(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	zeros := make([]byte, blockSize)
	for at := 0; at < len(data) && err == nil; at += blockSize {
		if p := data[at:min(at+blockSize, len(data))]; !bytes.Equal(p, zeros[:len(p)]) {
			_, err = f.WriteAt(p, int64(at))
		}
	}
	return errors.Join(err, f.Truncate(int64(len(data))), f.Close())
}

// pack makes an archive of a folder, which must not be there yet.
func pack(dir, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	defer func() { err = errors.Join(err, w.Close(), z.Close(), f.Close()) }()
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(rel), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}
		if d.IsDir() {
			h.Typeflag, h.Mode, h.Size = tar.TypeDir, 0o700, 0
			return w.WriteHeader(h)
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// tree is every file below a folder, but for locks, which name their last owner.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.EqualFold(d.Name(), "lock") {
			return err
		}
		data, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sameTree demands that nothing was changed.
func sameTree(t *testing.T, what, dir string, before map[string]string) {
	t.Helper()
	after := tree(t, dir)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if now, there := after[name]; !there || now != before[name] {
			t.Errorf("%s: %s was changed (it is there: %v)", what, name, there)
		}
		delete(after, name)
	}
	for name := range after {
		t.Errorf("%s: %s was made", what, name)
	}
}

// fsck runs the program and wants an exit status.
func fsck(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := cli.Main(args, "v1", &out, &errs); got != want {
		t.Errorf("fsck %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errs)
	}
	return out.String(), errs.String()
}
