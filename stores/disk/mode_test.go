package disk_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// refuse demands an error that is want and says each of the words.
func refuse(t *testing.T, o disk.Options, want error, words ...string) {
	t.Helper()
	s, err := disk.Open(t.Context(), o)
	if err == nil {
		_ = s.Close()
		t.Fatalf("opened, want %v", want)
	}
	if want != nil && !errors.Is(err, want) {
		t.Errorf("%v: want %v", err, want)
	}
	for _, word := range append(words, o.MountPoint) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// layouts makes one folder of each layout.
func layouts(t *testing.T) map[string]string {
	t.Helper()
	base := t.TempDir()
	dirs := map[string]string{}
	for _, name := range []string{"empty", "segments", "flat", "two", "both", "foreign", "flat, all gone"} {
		dirs[name] = filepath.Join(base, name)
		if err := os.Mkdir(dirs[name], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dirs["missing"] = filepath.Join(base, "missing")
	v := makeBlob(t, 1, 100)
	plant(t, dirs["flat"], v.Hash(), 0, v.Bytes())
	plant(t, dirs["two"], v.Hash(), 2, v.Bytes())
	plant(t, dirs["both"], v.Hash(), 0, v.Bytes())
	plant(t, dirs["both"], v.Hash(), 2, v.Bytes())
	if err := os.WriteFile(filepath.Join(dirs["foreign"], "letter.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, mode := range map[string]disk.Mode{"segments": disk.ModeSegments, "flat, all gone": disk.ModeSharded} {
		checktest.After(t, nil, dirs[dir])
		s, err := disk.Open(t.Context(), disk.Options{MountPoint: dirs[dir], Mode: mode, SegmentSize: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

func TestWhichMode(t *testing.T) {
	absent := disk.Options{}
	zero := disk.Options{HasShardingSize: true}
	two := disk.Options{ShardingSize: 2, HasShardingSize: true}
	asSegments := disk.Options{Mode: disk.ModeSegments}
	asSharded := disk.Options{Mode: disk.ModeSharded}
	const seg, sha = disk.ModeSegments, disk.ModeSharded
	for _, c := range []struct {
		o      disk.Options
		layout string
		mode   disk.Mode // what it opens as; empty: refused with want
		want   error
	}{
		{absent, "missing", seg, nil},
		{absent, "empty", seg, nil},
		{absent, "segments", seg, nil},
		{absent, "flat", sha, nil},
		{absent, "flat, all gone", sha, nil},
		{absent, "both", sha, nil},
		{absent, "two", "", disk.ErrLayout},
		{absent, "foreign", "", mount.ErrNotAMount},
		{zero, "missing", sha, nil},
		{zero, "empty", sha, nil},
		{zero, "flat", sha, nil},
		{zero, "flat, all gone", sha, nil},
		{zero, "two", "", disk.ErrLayout},
		{zero, "segments", "", disk.ErrLayout},
		{zero, "foreign", "", mount.ErrNotAMount},
		{two, "empty", sha, nil},
		{two, "two", sha, nil},
		{two, "both", sha, nil},
		{two, "flat", "", disk.ErrLayout},
		{two, "segments", "", disk.ErrLayout},
		{asSegments, "empty", seg, nil},
		{asSegments, "segments", seg, nil},
		{asSegments, "flat", "", disk.ErrLayout},
		{asSegments, "two", "", disk.ErrLayout},
		{asSegments, "both", "", disk.ErrLayout},
		{asSegments, "foreign", "", mount.ErrNotAMount},
		{asSharded, "empty", sha, nil},
		{asSharded, "flat", sha, nil},
		{asSharded, "two", "", disk.ErrLayout},
		{asSharded, "segments", "", disk.ErrLayout},
	} {
		o := c.o
		t.Run(fmt.Sprintf("%s %d %v over %s", o.Mode, o.ShardingSize, o.HasShardingSize, c.layout), func(t *testing.T) {
			o.MountPoint = layouts(t)[c.layout]
			o.SegmentSize = 16 << 20
			switch {
			case errors.Is(c.want, disk.ErrLayout):
				flags := "--max-size SIZE"
				if o.Mode == disk.ModeSharded || o.HasShardingSize || o.ShardingSize > 0 {
					flags += fmt.Sprintf(" --layout sharded --sharding-size %d", o.ShardingSize)
				}
				refuse(t, o, c.want, "move its blobs to an empty folder with `prism fsck migrate --from "+o.MountPoint+
					" --to PATH "+flags+"` and make that the mount_point, or choose an empty folder")
			case c.want != nil:
				refuse(t, o, c.want)
			default:
				if s := open(t, o); s.Mode() != c.mode {
					t.Errorf("mode %s, want %s", s.Mode(), c.mode)
				}
			}
		})
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []disk.Options{
		{},
		{MountPoint: dir, Mode: "raid"},
		{MountPoint: dir, ShardingSize: -1},
		{MountPoint: dir, ShardingSize: 96},
		{MountPoint: dir, Mode: disk.ModeSegments, ShardingSize: 2},
		{MountPoint: dir, MaxSize: -1},
		{MountPoint: dir, Sync: "sometimes"},
		{MountPoint: dir, Eviction: "random"},
	} {
		if err := o.Check(); !errors.Is(err, disk.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
		if _, err := disk.Open(t.Context(), o); !errors.Is(err, disk.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := (disk.Options{MountPoint: dir, ShardingSize: 95}).Check(); err != nil {
		t.Error(err)
	}
	// Too small a cap is known once the mode is.
	refuse(t, disk.Options{MountPoint: dir, Mode: disk.ModeSharded, MaxSize: 1 << 20}, disk.ErrOptions, "max_size")
	refuse(t, disk.Options{MountPoint: dir, MaxSize: 1 << 20}, engine.ErrOptions, "max_size")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFoldersThatCannotBeMounts(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		refuse(t, disk.Options{MountPoint: file, Mode: mode}, mount.ErrNotAMount, "not a folder")
		refuse(t, disk.Options{MountPoint: filepath.Join(base, "no", "such"), Mode: mode}, mount.ErrNotAMount, "does not exist")
	}
	if _, err := os.Stat(filepath.Join(base, "no")); err == nil {
		t.Error("a missing parent was made")
	}
}

func TestTheSameFolderTwice(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		t.Run(string(mode), func(t *testing.T) {
			base := t.TempDir()
			t.Chdir(base)
			if err := errors.Join(os.Mkdir("real", 0o755), os.Symlink("real", "link")); err != nil {
				t.Fatal(err)
			}
			s := open(t, disk.Options{MountPoint: "real", Mode: mode, SegmentSize: 16 << 20})
			for _, again := range []string{"real", "link", filepath.Join(base, "real")} {
				refuse(t, disk.Options{MountPoint: again, Mode: mode}, nil, "in use by pid", fmt.Sprint(os.Getpid()))
			}
			v := makeBlob(t, 1, 1000)
			put(t, s, v)
			wantHit(t, s, v)
		})
	}
}

// TestLockedByAnotherProcess runs itself as the second process.
func TestLockedByAnotherProcess(t *testing.T) {
	if dir := os.Getenv("DISK_TEST_DIR"); dir != "" {
		_, err := disk.Open(t.Context(), disk.Options{MountPoint: dir})
		var held *diskfs.LockedError
		fmt.Printf("locked=%v %v\n", errors.As(err, &held), err)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		dir := t.TempDir()
		open(t, disk.Options{MountPoint: dir, Mode: mode, SegmentSize: 16 << 20})
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestLockedByAnotherProcess$", "-test.v")
		cmd.Env = append(os.Environ(), "DISK_TEST_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range []string{"locked=true", fmt.Sprintf("in use by pid %d", os.Getpid()), dir} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q does not say %q", mode, out, want)
			}
		}
	}
}

func TestNewerVersions(t *testing.T) {
	dirs := layouts(t)
	path := filepath.Join(dirs["segments"], "superblock")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := slices.Clone(b)
	binary.LittleEndian.PutUint32(b[8:], mount.Version+1)
	binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	refuse(t, disk.Options{MountPoint: dirs["segments"]}, mount.ErrNewerVersion, "newer version")
	if err := os.WriteFile(path, whole, 0o644); err != nil { // the rest is clean
		t.Fatal(err)
	}

	// The sharded mode's version is that of its index.
	dir := filepath.Join(dirs["flat, all gone"], ".prism", "index")
	markers, err := filepath.Glob(filepath.Join(dir, "marker.format-version.*"))
	if err != nil || len(markers) != 1 {
		t.Fatalf("%v, %v", markers, err)
	}
	if err := os.Rename(markers[0], filepath.Join(dir, "marker.format-version.000099.999")); err != nil {
		t.Fatal(err)
	}
	refuse(t, disk.Options{MountPoint: dirs["flat, all gone"]}, index.ErrNewerFormat, "newer format")
	if _, err := os.Stat(filepath.Join(dir, "marker.format-version.000099.999")); err != nil {
		t.Errorf("the newer index was touched: %v", err)
	}
}

// refusing is the machine's file system where what would take room, or change anything, fails with err.
type refusing struct {
	diskfs.FS
	err error
}

func (f refusing) fail(op, name string) error { return &os.PathError{Op: op, Path: name, Err: f.err} }

func (f refusing) Create(name string) (diskfs.File, error)   { return nil, f.fail("create", name) }
func (f refusing) Mkdir(name string) error                   { return f.fail("mkdir", name) }
func (f refusing) Remove(name string) error                  { return f.fail("remove", name) }
func (f refusing) Rename(name, _ string) error               { return f.fail("rename", name) }
func (f refusing) SyncDir(name string) error                 { return f.fail("sync", name) }
func (f refusing) Lock(name, text string) (io.Closer, error) { return nil, f.fail("lock", name) }
func (f refusing) Open(name string, w bool) (diskfs.File, error) {
	if w {
		return nil, f.fail("open", name)
	}
	return f.FS.Open(name, w)
}

func TestDisksThatCannotBeWritten(t *testing.T) {
	for err, hint := range map[error]string{
		syscall.EROFS:  "mount it writable",
		syscall.ENOSPC: "free some space",
		syscall.EACCES: "must belong to the user",
	} {
		dirs := layouts(t)
		for _, name := range []string{"missing", "empty", "segments", "flat", "flat, all gone"} {
			refuse(t, disk.Options{MountPoint: dirs[name], FS: refusing{diskfs.OS(), err}}, err, hint)
		}
		// None of it was harmed.
		v := makeBlob(t, 1, 100)
		wantHit(t, open(t, disk.Options{MountPoint: dirs["flat"]}), v)
		open(t, disk.Options{MountPoint: dirs["segments"]})
	}
}
