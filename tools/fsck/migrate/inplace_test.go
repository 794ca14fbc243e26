package migrate_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// A cache of one file a blob is turned into segments on its own disk, which has room for two segments more, by runs that
// are killed again and again. Without -loop the disk is whatever holds the temporary files, and the cache is small.
func TestInPlace(t *testing.T) {
	blobs, most, segment, pause := 1500, 20_000, int64(16<<20), 300*time.Millisecond
	root := t.TempDir()
	if *onLoop {
		blobs, segment, pause = 100_000, 128<<20, 6*time.Second
		root = loopFS(t, 2<<30)
	}
	b := filesBed(t, root, 5, blobs, most, 2)
	if *onLoop {
		fillUp(t, root, 2*segment)
	}
	o := migrate.Options{From: b.from, To: b.to, Move: true, SegmentSize: segment}
	if !*onLoop {
		o.MaxRate, o.FS = bytesASecond, littleRoomFS{diskfs.OS()}
	}
	rnd := rand.New(rand.NewPCG(5, 0))
	times := 0
	for times < 8 && killed(t, o, pause/4+time.Duration(rnd.Int64N(int64(pause)))) {
		times++
	}
	o.MaxRate = 0
	began := time.Now()
	rep := run(t, o)
	t.Logf("killed %d times; the last run moved %d blobs of %d bytes in %v, found %d there and %d bad",
		times, rep.Copied, rep.CopiedBytes, time.Since(began).Round(time.Millisecond), rep.There, rep.Bad)
	left := filesLeft(t, b.from)
	if len(left) != len(b.bad) || rep.Bad != int64(len(b.bad)) {
		t.Errorf("%d files are left and %d were listed, want the %d bad ones", len(left), rep.Bad, len(b.bad))
	}
	for _, h := range b.blobs {
		if _, ok := left[h.String()]; ok {
			t.Fatalf("%s is in both places", h.Short())
		}
	}
	b.mustHave(t, migrate.Segments, 0)
	mustBeClean(t, b.to)
}

// fillUp leaves that many bytes free on a file system.
func fillUp(t *testing.T, at string, free int64) {
	t.Helper()
	if err := exec.Command("sync", "-f", at).Run(); err != nil {
		t.Fatal(err)
	}
	u, err := diskfs.OS().Usage(at)
	if err != nil {
		t.Fatal(err)
	}
	if u.Free < free {
		t.Fatalf("%d bytes are free, and %d should stay so", u.Free, free)
	}
	f, err := diskfs.OS().Create(filepath.Join(at, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, f)
	if err := f.Preallocate(0, u.Free-free); err != nil {
		t.Fatal(err)
	}
}

// loopFS makes an ext4 file system of that many bytes in a file and mounts it for this test alone. Where that cannot be
// done the test fails: it was asked for.
func loopFS(t *testing.T, size int64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("-loop needs root: only root may mount a file system")
	}
	dir := t.TempDir()
	image, at := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", "-m", "0", "-i", "8192", image)
	command(t, "mount", "-o", "loop", image, at)
	t.Cleanup(func() { command(t, "umount", at) }) // which frees the loop device too
	return at
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s-loop needs mkfs.ext4, mount and a free loop device", name, args, err, out)
	}
}
