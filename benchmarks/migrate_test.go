package benchmarks

import (
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

var migrateBlobs = flag.Int("migrate-blobs", 512, "how many full blobs BenchmarkMigrate moves")

// BenchmarkMigrate copies full blobs from one file a blob to segments, none of them in the page cache, and compares that
// with the two things that it cannot be faster than, in the same run: the hashing of the same bytes on all cores, and the
// plain copying of the same files into one, synced. Bar: 0.8 × the slower of the two.
func BenchmarkMigrate(b *testing.B) {
	root := workDir(b)
	from := filepath.Join(root, "old")
	paths := makeSharded(b, from, *migrateBlobs)
	gb := float64(len(paths)) * blob.MaxSize / 1e9
	var moved, hashed, copied []float64
	for b.Loop() {
		hashed = append(hashed, gb/measure(func() { hashAll(len(paths)) }).wall.Seconds())
		forget(b, paths)
		copied = append(copied, gb/measure(func() { copyAll(b, root, paths) }).wall.Seconds())
		forget(b, paths)
		moved = append(moved, gb/measure(func() { migrateAll(b, from, filepath.Join(root, "new"), len(paths)) }).wall.Seconds())
		if err := os.RemoveAll(filepath.Join(root, "new")); err != nil {
			b.Fatal(err)
		}
		settle()
	}
	slower := each(hashed, copied, func(x, y float64) float64 { return min(x, y) })
	report(b, "migrate/slower", median(each(moved, slower, func(x, y float64) float64 { return x / y })), atLeast(0.8))
	report(b, "migrate-GB/s", median(moved), bar{})
	report(b, "hashing-GB/s", median(hashed), bar{})
	report(b, "copying-GB/s", median(copied), bar{})
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

// hashAll hashes n full blobs on all cores, as a migration does: SHA-384 and the CRC beside it.
func hashAll(n int) {
	s := newSupply(blob.MaxSize)
	h := blob.Sum(s.base)
	parallel(runtime.NumCPU(), n, func(int) { _, _ = blob.Verify(h, s.base) })
}

// copyAll copies files into one, in as many goroutines as there are cores, and syncs it.
func copyAll(b *testing.B, root string, paths []string) {
	to, err := os.Create(filepath.Join(root, "copy"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.Remove(to.Name()); _ = to.Close() }()
	if err := unix.Fallocate(int(to.Fd()), 0, 0, int64(len(paths))*blob.MaxSize); err != nil {
		b.Fatal(err)
	}
	bufs := sync.Pool{New: func() any { return new([blob.MaxSize]byte) }}
	parallel(runtime.NumCPU(), len(paths), func(i int) {
		buf := bufs.Get().(*[blob.MaxSize]byte)
		defer bufs.Put(buf)
		f, err := os.Open(paths[i])
		if err == nil {
			_, err = io.ReadFull(f, buf[:])
			_ = f.Close()
		}
		if err == nil {
			_, err = to.WriteAt(buf[:], int64(i)*blob.MaxSize)
		}
		if err != nil {
			b.Error(err)
		}
	})
	if err := to.Sync(); err != nil {
		b.Fatal(err)
	}
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
	m, err := migrate.New(migrate.Options{From: from, To: to, MaxSize: migrate.NoCap, SegmentSize: 256 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	rep, err := m.Run(b.Context())
	if err != nil || rep.Copied != int64(n) || rep.Bad != 0 {
		b.Fatalf("%v, %s: copied %s of %s", err, rep.Took.Round(time.Millisecond), strconv.FormatInt(rep.Copied, 10), strconv.Itoa(n))
	}
}
