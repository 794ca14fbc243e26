//go:build linux

package diskfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/cachetest"
)

// block is a size that the extents of ext4, XFS and tmpfs are multiples of.
const block = 4096

// newFile makes a file that is closed at the end of the test.
func newFile(t *testing.T) (diskfs.File, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "f")
	f, err := diskfs.OS().Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, name
}

// want reports an error or another value than the one expected.
func want[T comparable](t *testing.T, what string, got T, err error, expected T) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got != expected {
		t.Fatalf("%s is %v, want %v", what, got, expected)
	}
}

func TestCreateAndOpen(t *testing.T) {
	f, name := newFile(t)
	if _, err := diskfs.OS().Create(name); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second Create: %v, want fs.ErrExist", err)
	}
	if _, err := diskfs.OS().Open(name+"x", true); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Open of nothing: %v, want fs.ErrNotExist", err)
	}
	if _, err := f.WriteAt([]byte("hello"), 3); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	r, err := diskfs.OS().Open(name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 16)
	n, err := r.ReadAt(buf, 0)
	if n != 8 || err != io.EOF || string(buf[:n]) != "\x00\x00\x00hello" {
		t.Fatalf("ReadAt gives %q, %v", buf[:n], err)
	}
	if _, err := r.WriteAt([]byte("x"), 0); err == nil {
		t.Fatal("a file that was opened for reading takes a write")
	}
}

func TestFoldersAndNames(t *testing.T) {
	dfs, dir := diskfs.OS(), t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := dfs.Mkdir(sub); err != nil {
		t.Fatal(err)
	}
	if err := dfs.Mkdir(sub); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second Mkdir: %v, want fs.ErrExist", err)
	}
	for _, n := range []string{"c", "a", "b"} {
		f, err := dfs.Create(filepath.Join(sub, n))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := dfs.Rename(filepath.Join(sub, "c"), filepath.Join(sub, "a")); err != nil {
		t.Fatal(err)
	}
	if err := dfs.SyncDir(sub); err != nil {
		t.Fatal(err)
	}
	names, err := dfs.List(sub)
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Fatalf("List gives %v, %v", names, err)
	}
	if err := dfs.Remove(sub); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Fatalf("Remove of a folder that is not empty: %v, want ENOTEMPTY", err)
	}
	if err := os.Symlink(filepath.Join(sub, "a"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	st, err := dfs.Stat(filepath.Join(dir, "link"))
	if err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Fatalf("Stat follows a link: %v, %v", st, err)
	}
}

// A FIFO under the name of a cache file must not hang the caller.
func TestOpenOfFIFODoesNotBlock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := diskfs.OS().Open(name, false)
	if err != nil {
		return
	}
	defer f.Close()
	if n, err := f.ReadAt(make([]byte, 1), 0); err == nil {
		t.Fatalf("ReadAt of a FIFO gives %d bytes and no error", n)
	}
}

func TestPreallocateIsAHole(t *testing.T) {
	f, _ := newFile(t)
	if err := f.Preallocate(16*block, 64*block); err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	want(t, "size", size, err, 80*block)
	alloc, err := f.Allocated()
	if err != nil || alloc < 64*block || alloc > 70*block {
		t.Fatalf("%d bytes allocated, %v; want about %d", alloc, err, 64*block)
	}
	if at, err := f.SeekData(0); err != io.EOF {
		t.Fatalf("SeekData finds data at %d, %v", at, err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{1}, block), 20*block); err != nil {
		t.Fatal(err)
	}
	at, err := f.SeekData(0)
	want(t, "first data", at, err, 20*block)
	at, err = f.SeekHole(20 * block)
	want(t, "hole after it", at, err, 21*block)
	for _, seek := range []func(int64) (int64, error){f.SeekData, f.SeekHole} {
		if _, err := seek(80 * block); err != io.EOF {
			t.Fatalf("search from the end: %v, want io.EOF", err)
		}
	}
}

func TestPunch(t *testing.T) {
	f, _ := newFile(t)
	if _, err := f.WriteAt(bytes.Repeat([]byte{7}, 8*block), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	before, _ := f.Allocated()
	if err := f.Punch(2*block, 3*block); err != nil {
		t.Fatal(err)
	}
	after, err := f.Allocated()
	want(t, "bytes given back", before-after, err, 3*block)
	size, err := f.Size()
	want(t, "size", size, err, 8*block)
	at, err := f.SeekHole(0)
	want(t, "hole", at, err, 2*block)
	at, err = f.SeekData(at)
	want(t, "data after it", at, err, 5*block)
	buf := make([]byte, 3*block)
	if _, err := f.ReadAt(buf, 2*block); err != nil || !bytes.Equal(buf, make([]byte, 3*block)) {
		t.Fatalf("a punched range does not read as zeros (%v)", err)
	}
}

func TestMapSharesThePageCache(t *testing.T) {
	f, name := newFile(t)
	if err := f.Truncate(4 * block); err != nil {
		t.Fatal(err)
	}
	m, err := f.Map(4 * block)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("later"), 2*block); err != nil {
		t.Fatal(err)
	}
	if err := diskfs.OS().Remove(name); err != nil {
		t.Fatal(err)
	}
	got := m.Bytes(2*block, 5)
	if string(got) != "later" || cap(got) != 5 {
		t.Fatalf("the mapping holds %q with room for %d", got, cap(got))
	}
	if err := m.Unmap(); err != nil {
		t.Fatal(err)
	}
}

func TestCachedCountsEveryPage(t *testing.T) {
	f, _ := newFile(t)
	if _, err := f.WriteAt(make([]byte, 8*block), 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off, n int64
		want   bool
	}{
		{0, 8 * block, true}, {1, 1, true}, {block - 1, 2, true}, {8*block - 1, 1, true}, {5, 0, true},
		{0, 8*block + 1, false}, {8*block - 1, 2, false}, {64 * block, block, false},
	} {
		got, err := f.Cached(c.off, c.n)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip("this kernel has no cachestat")
		}
		if err != nil || got != c.want {
			t.Errorf("Cached(%d, %d) is %v, %v; want %v", c.off, c.n, got, err, c.want)
		}
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(name, bytes.Repeat([]byte("old "), 50), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := diskfs.OS().Lock(name, "pid 17")
	if err != nil {
		t.Fatal(err)
	}
	_, err = diskfs.OS().Lock(name, "pid 18")
	var locked *diskfs.LockedError
	if !errors.As(err, &locked) || locked.Owner != "pid 17" || locked.Path != name {
		t.Fatalf("second Lock: %v, want the owner pid 17", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = diskfs.OS().Lock(name, "pid 18")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestUsage(t *testing.T) {
	u, err := diskfs.OS().Usage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if u.Total <= 0 || u.Free <= 0 || u.Used <= 0 || u.Used+u.Free > u.Total {
		t.Fatalf("implausible: %+v", u)
	}
}

func TestClosedFile(t *testing.T) {
	f, _ := newFile(t)
	f.Close()
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	for what, err := range map[string]error{
		"Sync": f.Sync(), "Punch": f.Punch(0, 1), "Preallocate": f.Preallocate(0, 1), "ReadAt": readErr, "Close": f.Close(),
	} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s of a closed file: %v, want fs.ErrClosed", what, err)
		}
	}
}

func TestFullDevice(t *testing.T) {
	f, err := diskfs.OS().Open("/dev/full", true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v, want ENOSPC", err)
	}
}

// procfs is a file system that every machine has and that can neither punch nor preallocate.
func TestWhatAFileSystemCannotDo(t *testing.T) {
	f, err := diskfs.OS().Open("/proc/self/comm", true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Punch(0, block); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Punch: %v, want errors.ErrUnsupported", err)
	}
	if err := f.Preallocate(0, block); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Preallocate: %v, want errors.ErrUnsupported", err)
	}
}

// TestLongReads: what is in the page cache, what is not, and what is in part give the same bytes, up to the end of the file
// and beyond it, of a file that is open.
func TestLongReads(t *testing.T) {
	const size = 3 << 20
	f, name := newFile(t)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i/block*7 + i>>20)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	for state, set := range map[string]func(){
		"cached":     func() {},
		"not cached": func() { cachetest.Forget(t, name) },
		"in part":    func() { cachetest.ForgetRange(t, name, size/2, 0) },
		"the others": func() { cachetest.ForgetRange(t, name, 0, size/2) },
	} {
		for _, n := range []int{64<<10 - 1, 64 << 10, 100_001, 512 << 10, 512<<10 + 1, size} {
			for _, off := range []int64{0, 12345, size/2 - 32<<10, size - 32<<10, size - 512<<10, size, size + 1} {
				if _, err := f.ReadAt(make([]byte, size), 0); err != nil {
					t.Fatal(err)
				}
				set()
				p := make([]byte, n)
				got, err := f.ReadAt(p, off)
				left := data[min(off, size):]
				wantErr := error(nil)
				if len(left) < n {
					wantErr = io.EOF
				}
				if got != min(n, len(left)) || err != wantErr || !bytes.Equal(p[:got], left[:got]) {
					t.Errorf("%s: %d bytes at %d: %d, %v; want %d, %v", state, n, off, got, err, min(n, len(left)), wantErr)
				}
			}
		}
	}
	if n, err := f.ReadAt(make([]byte, 64<<10), -1); n != 0 || err == nil {
		t.Errorf("at -1: %d bytes, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(make([]byte, 64<<10), 0); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %d bytes, %v", n, err)
	}
}
