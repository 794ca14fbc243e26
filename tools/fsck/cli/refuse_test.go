package cli_test

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// TestMain is the program itself where a test runs it as another user.
func TestMain(m *testing.M) {
	if args := os.Getenv("FSCK_TEST_ARGS"); args != "" {
		os.Exit(cli.Main(strings.Fields(args), "v1", os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestBadInputRefused is what check and repair leave alone: both say why, with exit status 2, and change nothing.
func TestBadInputRefused(t *testing.T) {
	for _, c := range []struct {
		name, says string
		do         func(b *bad) (path string)
	}{
		{"a path that is nowhere", "does not exist", func(b *bad) string { return b.path("no", "such") }},
		{"a file", "not a folder", func(b *bad) string { return b.path("superblock") }},
		{"an empty folder", "not a mount", func(b *bad) string { return b.t.TempDir() }},
		{"one file a blob", "sharding_size 2", func(b *bad) string {
			dir := b.t.TempDir()
			b.must(os.Mkdir(filepath.Join(dir, "ab"), 0o700))
			return dir
		}},
		{"some other folder", "not of a blob store", func(b *bad) string {
			dir := b.t.TempDir()
			b.must(os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("dear"), 0o600))
			return dir
		}},
		{"73 a segment of a newer version", "newer", func(b *bad) string {
			path := b.seg(b.ids()[0])
			head := make([]byte, 76)
			f, err := os.Open(path)
			b.must(err)
			_, err = io.ReadFull(f, head)
			b.must(err)
			b.must(f.Close())
			head[8] = segments.Version + 1
			binary.LittleEndian.PutUint32(head[72:], crc32.Checksum(head[:72], crc32.MakeTable(crc32.Castagnoli)))
			b.patch(path, 0, head)
			return b.dir
		}},
		{"76 an index of a newer format", "newer format", func(b *bad) string {
			b.must(os.Rename(b.index("marker.format-version*"), b.path("index", "marker.format-version.000099.999")))
			return b.dir
		}},
		{"79 an index that is locked", "locked", func(b *bad) string {
			lock, err := diskfs.OS().Lock(b.path("index", "LOCK"), "")
			b.must(err)
			b.t.Cleanup(func() { _ = lock.Close() })
			return b.dir
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBad(t)
			path := c.do(b)
			before := tree(t, b.dir)
			for _, command := range []string{"check --hash", "repair"} {
				args := append(strings.Fields(command), path)
				want := cli.ExitFailed
				if strings.HasPrefix(c.name, "73") && args[0] == "check" {
					want = cli.ExitFindings // the others are looked at
				}
				out, errs := fsck(t, want, args...)
				if !strings.Contains(out+errs, c.says) {
					t.Errorf("%s does not say %q:\n%s%s", command, c.says, out, errs)
				}
			}
			after := tree(t, b.dir)
			for _, all := range []map[string]string{before, after} { // the lock names us
				delete(all, b.path("lock"))
			}
			if !maps.Equal(before, after) {
				t.Error("something was changed")
			}
		})
	}
}

// TestNoPermission runs the program as a user that the mount does not belong to.
func TestNoPermission(t *testing.T) {
	b := newBad(t)
	const nobody = 65534
	run := func(args string) (string, int) {
		cmd := exec.CommandContext(t.Context(), b.publicSelf())
		cmd.Env = append(os.Environ(), "FSCK_TEST_ARGS="+args)
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	open := func(mode os.FileMode) {
		t.Helper()
		for _, dir := range []string{b.dir, filepath.Dir(b.dir)} { // t.TempDir is within a folder of the test's
			b.must(os.Chmod(dir, mode|0o700))
		}
	}
	if out, code := run("check " + os.DevNull); code != cli.ExitFailed || !strings.Contains(out, "not a folder") {
		t.Fatalf("the program does not run as another user: %d, %s", code, out)
	}
	for _, mode := range []os.FileMode{0o700, 0o755} { // nothing can be seen of it; names can, and no lock be taken
		before := tree(t, b.dir)
		open(mode)
		if os.Getuid() != 0 {
			b.must(os.Chmod(b.dir, 0))
		}
		for _, command := range []string{"check --hash ", "repair "} {
			out, code := run(command + b.dir)
			if code != cli.ExitFailed || !strings.Contains(out, "permission denied") {
				t.Errorf("mode %v, %s: exit status %d\n%s", mode, command, code, out)
			}
		}
		open(0o700)
		if !maps.Equal(before, tree(t, b.dir)) {
			t.Errorf("mode %v: something was changed", mode)
		}
	}
	b.serves(0)
}

// publicSelf is a copy of this program that anybody may run.
func (b *bad) publicSelf() string {
	b.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	b.must(err)
	dir, err := os.MkdirTemp("", "fsck-test-")
	b.must(err)
	b.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "fsck")
	b.must(os.WriteFile(path, self, 0o755)) //nolint:gosec // that is the point
	b.must(os.Chmod(dir, 0o755))            //nolint:gosec // that is the point
	return path
}
