package crashtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// loopFS makes an ext4 file system of that many bytes in a file and mounts it for this test alone. Where that cannot be
// done the test fails: it was asked for.
func loopFS(t *testing.T, size int64) string {
	t.Helper()
	disk := makeDisk(t, "ext4", size)
	at := filepath.Join(filepath.Dir(disk), "mnt")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	mountDisk(t, disk, at)
	t.Cleanup(func() { run(t, "umount", at) }) // which frees the loop device too
	return at
}

// makeDisk makes a file with an empty file system of a kind: ext4 or xfs.
func makeDisk(t *testing.T, kind string, size int64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("-loop and -power-cuts need root: only root may mount a file system")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, size); err != nil {
		t.Fatal(err)
	}
	if kind == "xfs" {
		run(t, "mkfs.xfs", "-q", disk)
		return disk
	}
	// Whole from the start, so that the kernel writes nothing of its own to it later, and nothing is kept for root.
	run(t, "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk)
	return disk
}

// mountDisk mounts what makeDisk made. After a power cut this recovers the file system from its log.
func mountDisk(t *testing.T, disk, at string) {
	t.Helper()
	run(t, "mount", "-o", "loop", disk, at)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s-loop needs mkfs.ext4, -power-cuts mkfs.ext4 and mkfs.xfs (of e2fsprogs and xfsprogs), "+
			"and both need mount and free loop devices", name, args, err, out)
	}
}
