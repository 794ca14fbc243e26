package mount_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

var fresh = mount.Superblock{IndexFormat: 24, SegmentSize: 16 << 20, IDCeiling: 1}

// open opens a mount for one test and closes it with the test.
func open(t *testing.T, dir string) *mount.Mount {
	t.Helper()
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// refuse demands that Open fails with want and says each of the words.
func refuse(t *testing.T, dir string, want error, words ...string) {
	t.Helper()
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err == nil {
		m.Close()
		t.Fatalf("opened %s, want %v", dir, want)
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("%v: want %v", err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func write(t *testing.T, path string, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFreshMountIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	first := m.Superblock()
	if first.Version != mount.Version || first.ID == [16]byte{} || first.Created == 0 || first.SegmentSize != 16<<20 {
		t.Errorf("fresh superblock %+v", first)
	}
	if err := m.Update(func(s *mount.Superblock) { s.IDCeiling = 77; s.Session[0] = 9 }); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, dir)
	want := first
	want.IDCeiling, want.Session[0] = 77, 9
	if got := again.Superblock(); got != want {
		t.Errorf("read back %+v, want %+v", got, want)
	}
	for _, dir := range []string{again.SegmentsDir(), again.IndexDir(), again.QuarantineDir()} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestHalfMadeMountsAreCompleted(t *testing.T) {
	for _, half := range []string{"lock", "segments/", "index/", "superblock.tmp", ".hidden", "lost+found/"} {
		t.Run(half, func(t *testing.T) {
			dir := t.TempDir()
			if name, isDir := strings.CutSuffix(half, "/"); isDir {
				if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, filepath.Join(dir, name), "torn")
			}
			open(t, dir)
		})
	}
}

func TestDeletedIndexFolderIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	id := m.Superblock().ID
	index := m.IndexDir()
	if err := errors.Join(m.Close(), os.RemoveAll(index)); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir); again.Superblock().ID != id {
		t.Error("another store after the index was deleted")
	}
	if _, err := os.Stat(index); err != nil {
		t.Error(err)
	}
}

func TestFoldersThatAreNotMounts(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "file"), "x")
	write(t, filepath.Join(base, "photos", "a.jpg"), "x")
	write(t, filepath.Join(base, "site", "index", "a.html"), "x")
	write(t, filepath.Join(base, "mixed", "segments", "x"), "x")
	write(t, filepath.Join(base, "mixed", "notes.txt"), "x")
	write(t, filepath.Join(base, "cache", "ab", "x"), "x")

	refuse(t, filepath.Join(base, "file"), mount.ErrNotAMount, "not a folder")
	refuse(t, filepath.Join(base, "photos"), mount.ErrNotAMount, "photos")
	refuse(t, filepath.Join(base, "site"), mount.ErrDamaged, "index/ has files")
	refuse(t, filepath.Join(base, "mixed"), mount.ErrNotAMount, "mixed")
	refuse(t, filepath.Join(base, "cache"), mount.ErrNotAMount, "sharding_size 2")
	refuse(t, filepath.Join(base, "no", "such"), mount.ErrNotAMount, "does not exist")
	for _, untouched := range []string{"photos/lock", "mixed/lock", "cache/lock", "no"} {
		if _, err := os.Stat(filepath.Join(base, untouched)); err == nil {
			t.Errorf("%s was made", untouched)
		}
	}
}

func TestSymbolicLinkAndRelativePath(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	if err := errors.Join(os.Mkdir("real", 0o755), os.Symlink("real", "link")); err != nil {
		t.Fatal(err)
	}
	open(t, "link")
	// The same folder twice, under two names, in one process.
	refuse(t, "real", nil, "in use by", fmt.Sprint(os.Getpid()))
	refuse(t, filepath.Join(base, "real"), nil, "in use by")
	if err := os.Symlink("nowhere", "dangling"); err != nil {
		t.Fatal(err)
	}
	refuse(t, "dangling", nil)
}

func TestDamagedSuperblocks(t *testing.T) {
	dir := t.TempDir()
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "superblock")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(good) {
		write(t, path, string(good[:cut]))
		refuse(t, dir, mount.ErrDamaged, "superblock", "prism fsck repair")
	}
	for i := range good {
		bad := []byte(string(good))
		bad[i] ^= 0x10
		write(t, path, string(bad))
		refuse(t, dir, mount.ErrDamaged)
	}
	write(t, path, string(good)+"\x00")
	refuse(t, dir, mount.ErrDamaged)
	write(t, path, strings.Repeat("x", 1<<20))
	refuse(t, dir, mount.ErrDamaged)
	write(t, path, string(good))
	open(t, dir)
}

func TestMissingSuperblockIsNotAFreshMount(t *testing.T) {
	dir := t.TempDir()
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	write(t, m.SegmentPath(1), "payload")
	if err := errors.Join(m.Close(), os.Remove(filepath.Join(dir, "superblock"))); err != nil {
		t.Fatal(err)
	}
	refuse(t, dir, mount.ErrDamaged, "missing", "segments/ has files", "prism fsck repair")
	if _, err := os.Stat(m.SegmentPath(1)); err != nil {
		t.Error(err)
	}
}

// failing is the file system of the machine whose every write-side call answers err.
type failing struct {
	diskfs.FS
	err error
}

func (f failing) Create(name string) (diskfs.File, error) {
	return nil, &os.PathError{Op: "create", Path: name, Err: f.err}
}
func (f failing) Mkdir(name string) error     { return &os.PathError{Op: "mkdir", Path: name, Err: f.err} }
func (f failing) Remove(string) error         { return f.err }
func (f failing) Rename(string, string) error { return f.err }
func (f failing) SyncDir(string) error        { return f.err }
func (f failing) Lock(name, text string) (io.Closer, error) {
	if f.err == syscall.ENOSPC {
		return f.FS.Lock(name, text)
	}
	return nil, &os.PathError{Op: "lock", Path: name, Err: f.err}
}

func TestDisksThatRefuseWrites(t *testing.T) {
	for err, hint := range map[error]string{
		syscall.EROFS:  "mount it writable",
		syscall.ENOSPC: "free some space",
		syscall.EACCES: "must belong to the user",
	} {
		for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
			_, got := mount.Open(failing{diskfs.OS(), err}, dir, fresh)
			if !errors.Is(got, err) || !strings.Contains(fmt.Sprint(got), hint) {
				t.Errorf("%v does not say %q", got, hint)
			}
			if err == syscall.ENOSPC {
				continue
			}
			if left, e := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind %v, %v", left, e)
			}
		}
	}
	// A mount on a full disk opens, because nothing has to be written; its superblock cannot change then.
	dir := t.TempDir()
	first, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := mount.Open(failing{diskfs.OS(), syscall.ENOSPC}, dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := m.Superblock()
	if err := m.Update(func(s *mount.Superblock) { s.IDCeiling = 99 }); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if m.Superblock() != before {
		t.Error("a failed update shows")
	}
}

func TestNewerVersionIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	m, err := mount.Open(diskfs.OS(), dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), os.Remove(m.IndexDir())); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "superblock")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(b[8:], mount.Version+1)
	binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], crc32.MakeTable(crc32.Castagnoli)))
	write(t, path, string(b))
	refuse(t, dir, mount.ErrNewerVersion, "format version 2", "nothing was changed")
	if after, err := os.ReadFile(path); err != nil || string(after) != string(b) {
		t.Error("the superblock was changed")
	}
	if _, err := os.Stat(m.IndexDir()); err == nil {
		t.Error("a folder was made in a mount of a newer version")
	}
}

// TestLockedByAnotherProcess runs itself as the second process.
func TestLockedByAnotherProcess(t *testing.T) {
	if dir := os.Getenv("MOUNT_TEST_DIR"); dir != "" {
		_, err := mount.Open(diskfs.OS(), dir, fresh)
		var held *diskfs.LockedError
		fmt.Printf("locked=%v %v\n", errors.As(err, &held), err)
		return
	}
	dir := t.TempDir()
	m := open(t, dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := m.Superblock()
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestLockedByAnotherProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "MOUNT_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"locked=true", fmt.Sprintf("in use by pid %d", os.Getpid())} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q does not say %q", out, want)
		}
	}
	if err := m.Update(func(s *mount.Superblock) { s.IDCeiling++ }); err != nil {
		t.Errorf("the owner after the attempt: %v", err)
	}
	if m.Superblock().ID != before.ID {
		t.Error("id changed")
	}
}

func TestQuarantineKeepsEverything(t *testing.T) {
	m := open(t, t.TempDir())
	for i := range 3 {
		write(t, m.SegmentPath(7), fmt.Sprint("bytes ", i))
		if err := m.Quarantine(m.SegmentPath(7), "checksum\nmismatch"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Quarantine(m.IndexDir(), "corrupt"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		path := filepath.Join(m.QuarantineDir(), fmt.Sprintf("%s.%d", mount.SegmentName(7), i+1))
		if got, err := os.ReadFile(path); err != nil || string(got) != fmt.Sprint("bytes ", i) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(m.QuarantineDir(), "index.1")); err != nil || !info.IsDir() {
		t.Error(err)
	}
	log, err := os.ReadFile(filepath.Join(m.QuarantineDir(), "LOG"))
	if err != nil || strings.Count(string(log), "\n") != 4 || !strings.Contains(string(log), `checksum\nmismatch`) {
		t.Errorf("log %q, %v", log, err)
	}
	if err := m.Quarantine(m.SegmentPath(8), "none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestSegmentNames(t *testing.T) {
	m := open(t, t.TempDir())
	if got := filepath.Base(m.SegmentPath(0xabc)); got != "0000000000000abc.seg" {
		t.Error(got)
	}
	for name, want := range map[string]segments.ID{
		"0000000000000001.seg":     1,
		"ffffffffffffffff.seg":     1<<64 - 1,
		"0000000000000000.seg":     0,
		"000000000000000A.seg":     0,
		"+000000000000001.seg":     0,
		"0x00000000000001.seg":     0,
		"1.seg":                    0,
		"0000000000000001.seg.tmp": 0,
		"00000000000000001.seg":    0,
		"":                         0,
		".seg":                     0,
	} {
		if got, ok := mount.ParseSegmentName(name); got != want && ok || ok != (want != 0) {
			t.Errorf("%q: %d %v", name, got, ok)
		}
	}
}

func FuzzParseSegmentName(f *testing.F) {
	f.Add("0000000000000abc.seg")
	f.Add("000000000000000g.seg")
	f.Add("_000000000000001.seg")
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := mount.ParseSegmentName(name); ok && mount.SegmentName(id) != name {
			t.Errorf("%q is read as %d, which is written %q", name, id, mount.SegmentName(id))
		}
	})
}
