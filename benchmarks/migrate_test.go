package benchmarks

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

var migrateBlobs = flag.Int("migrate-blobs", 512, "how many full blobs BenchmarkMigrate moves, of 2 MiB each; the disk needs room for them once, and 1 GiB")

// BenchmarkMigrate moves full blobs from one file a blob to segments on the same disk, none of them in the page cache, and
// compares that with the slower of two things, in the same run: the hashing of as many bytes on all cores, in the faster of
// the two ways that there are, and the plain copying of the same files. Turn by turn another of copy and migration is first.
//
// Both read every file once, write into preallocated files, make what they wrote durable while they go on, and free as many
// bytes as they write, so that the disk holds all of it only once. The copy has it easier: it unlinks whole copies of
// 256 MiB, where the migration unlinks each source file, and has no slots and no index to make durable. Bar: 0.8 ×.
func BenchmarkMigrate(b *testing.B) {
	root := workDir(b)
	mustHaveRoom(b, root, int64(*migrateBlobs)*blob.MaxSize+1<<30)
	from, to := filepath.Join(root, "old"), filepath.Join(root, "new")
	gb := float64(*migrateBlobs) * blob.MaxSize / 1e9
	var moved, alone, lanes, copied []float64
	move := func(paths []string) {
		forget(b, paths)
		moved = append(moved, gb/measure(func() { migrateAll(b, from, to, len(paths)) }).wall.Seconds())
		if err := errors.Join(os.RemoveAll(from), os.RemoveAll(to)); err != nil {
			b.Fatal(err)
		}
		settle()
	}
	for turn := 0; b.Loop(); turn++ {
		alone = append(alone, gb/measure(func() { hashAlone(*migrateBlobs) }).wall.Seconds())
		lanes = append(lanes, gb/measure(func() { hashInLanes(*migrateBlobs) }).wall.Seconds())
		paths := makeSharded(b, from, *migrateBlobs)
		if turn%2 > 0 {
			move(paths)
			paths = makeSharded(b, from, *migrateBlobs)
		}
		forget(b, paths)
		copied = append(copied, gb/measure(func() { copyAll(b, filepath.Join(root, "copy"), paths) }).wall.Seconds())
		if turn%2 == 0 {
			move(paths)
			continue
		}
		if err := os.RemoveAll(from); err != nil {
			b.Fatal(err)
		}
		settle()
	}
	hashed := each(alone, lanes, func(x, y float64) float64 { return max(x, y) })
	slower := each(hashed, copied, func(x, y float64) float64 { return min(x, y) })
	report(b, "migrate/slower", median(each(moved, slower, func(x, y float64) float64 { return x / y })), atLeast(0.8))
	report(b, "blobs", float64(*migrateBlobs), bar{})
	report(b, "migrate-GB/s", median(moved), bar{})
	report(b, "hashing-GB/s", median(alone), bar{})
	report(b, "hashing-in-lanes-GB/s", median(lanes), bar{})
	report(b, "copying-GB/s", median(copied), bar{})
}

func mustHaveRoom(b *testing.B, dir string, need int64) {
	b.Helper()
	u, err := diskfs.OS().Usage(dir)
	if err != nil {
		b.Fatal(err)
	}
	if u.Free < need {
		b.Fatalf("the disk of %s has %d bytes free, and this needs %d: set TMPDIR, or a smaller -migrate-blobs", dir, u.Free, need)
	}
}

// makeSharded fills a folder with n full blobs, one file each.
func makeSharded(b *testing.B, root string, n int) []string {
	b.Helper()
	s := newSupply(blob.MaxSize)
	paths := make([]string, n)
	bufs := sync.Pool{New: func() any { return new([blob.MaxSize]byte) }}
	parallel(runtime.NumCPU(), n, func(i int) {
		buf := bufs.Get().(*[blob.MaxSize]byte)
		defer bufs.Put(buf)
		v := s.number(uint64(i), buf[:])
		name := v.Hash().String()
		paths[i] = filepath.Join(root, name[:2], name)
		if err := os.MkdirAll(filepath.Dir(paths[i]), 0o700); err != nil {
			b.Error(err)
		}
		if err := os.WriteFile(paths[i], v.Bytes(), 0o600); err != nil {
			b.Error(err)
		}
	})
	settle()
	return paths
}

// hashAlone hashes n full blobs on all cores, each by itself: SHA-384 as the library has it, and the CRC beside it.
func hashAlone(n int) {
	s := newSupply(blob.MaxSize)
	h := blob.Sum(s.base)
	parallel(runtime.NumCPU(), n, func(int) { _, _ = blob.Verify(h, s.base) })
}

// hashInLanes hashes n full blobs on all cores, eight side by side on each.
func hashInLanes(n int) {
	s := newSupply(blob.MaxSize)
	h := blob.Sum(s.base)
	cores := runtime.NumCPU()
	parallel(cores, cores, func(core int) {
		lanes := blob.NewLanes()
		parallel(8, n/cores+min(1, max(0, n%cores-core)), func(int) { _, _ = lanes.Verify(h, s.base) })
	})
}

// copyAll copies files into larger ones that are preallocated, as segments are, and does no more than that: a round of
// 64 MiB is made durable while the next is read and written. Behind itself it removes what is durable.
func copyAll(b *testing.B, dir string, paths []string) {
	const round, roundsAFile = 32, 4
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bufs := sync.Pool{New: func() any { return new([blob.MaxSize]byte) }}
	var to, old *os.File
	var syncing sync.WaitGroup
	rounds := 0
	for some := range slices.Chunk(paths, round) {
		at := int64(rounds%roundsAFile) * round * blob.MaxSize
		if at == 0 {
			old, to = to, newCopy(b, dir, rounds, round*roundsAFile*blob.MaxSize)
		}
		rounds++
		parallel(2*runtime.NumCPU(), len(some), func(i int) {
			buf := bufs.Get().(*[blob.MaxSize]byte)
			defer bufs.Put(buf)
			if err := copyInto(to, at+int64(i)*blob.MaxSize, some[i], buf[:]); err != nil {
				b.Error(err)
			}
		})
		syncing.Wait()
		if old != nil { // all of it is durable
			_, _ = os.Remove(old.Name()), old.Close()
			old = nil
		}
		f := to
		syncing.Go(func() {
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				b.Error(err)
			}
		})
	}
	syncing.Wait()
	_ = to.Close() // it is durable, and goes with its folder
}

func newCopy(b *testing.B, dir string, n int, size int64) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, strconv.Itoa(n)))
	if err == nil {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	}
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func copyInto(to *os.File, at int64, path string, buf []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(f, buf)
	_ = f.Close()
	if err == nil {
		_, err = to.WriteAt(buf, at)
	}
	return err
}

// forget takes files out of the page cache.
func forget(b *testing.B, paths []string) {
	settle()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		_ = f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}

func migrateAll(b *testing.B, from, to string, n int) {
	m, err := migrate.New(migrate.Options{From: from, To: to, Move: true, MaxSize: migrate.NoCap, SegmentSize: 256 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	rep, err := m.Run(b.Context())
	if err != nil || rep.Copied != int64(n) || rep.Bad != 0 {
		b.Fatalf("%v, %s: copied %s of %s", err, rep.Took.Round(time.Millisecond), strconv.FormatInt(rep.Copied, 10), strconv.Itoa(n))
	}
}
