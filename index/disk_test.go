package index_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// tabled is an index all of whose blobs [0, n) are in tables, opened with an empty cache.
func tabled(t *testing.T, n int) (*index.Index, *crashfs.FS) {
	t.Helper()
	disk := crashfs.New()
	x := open(t, optionsOn(disk))
	fill(t, x, 0, n)
	must(t, x.Close())
	x = open(t, optionsOn(disk)) // makes a table of what is in the log
	settle(disk)
	return x, disk
}

// tables are the paths of all tables.
func tables(t *testing.T, disk *crashfs.FS) []string {
	t.Helper()
	names, err := disk.List("mount/index")
	must(t, err)
	var paths []string
	for _, n := range names {
		if filepath.Ext(n) == ".sst" {
			paths = append(paths, filepath.Join("mount/index", n))
		}
	}
	if len(paths) == 0 {
		t.Fatal("no tables")
	}
	return paths
}

// Damage in a table is found by whoever reads it, latches, and asks for another index; what is elsewhere is still served.
func TestDamagedTable(t *testing.T) {
	const n = 5000
	x, disk := tabled(t, n)
	for _, path := range tables(t, disk) {
		f, err := disk.Open(path, true)
		must(t, err)
		if _, err := f.WriteAt([]byte("damage"), 4096+100); err != nil {
			t.Fatal(err)
		}
		must(t, f.Close())
	}
	var good, bad int
	for i := range n {
		e, err := x.Get(hashOf(i))
		switch {
		case err == nil && e == entryOf(i):
			good++
		case errors.Is(err, index.ErrCorrupt):
			bad++
		default:
			t.Fatalf("blob %d: %+v, %v", i, e, err)
		}
	}
	if good == 0 || bad == 0 {
		t.Fatalf("%d good and %d bad rows", good, bad)
	}
	within(t, "latching", func() { <-x.Failed() })
	if err := x.Err(); !errors.Is(err, index.ErrCorrupt) || !errors.Is(err, index.ErrFailed) {
		t.Error(err)
	}
	if err := x.All(func(blob.Hash, index.Entry) error { return nil }); !errors.Is(err, index.ErrCorrupt) {
		t.Errorf("all: %v", err)
	}
	within(t, "close", func() {
		if err := x.Close(); !errors.Is(err, index.ErrCorrupt) {
			t.Error(err)
		}
	})
}

// A block that cannot be read is the reader's error. When it is in the way of a compaction, the index is at its end:
// it latches, and does not try again and again.
func TestUnreadableTable(t *testing.T) {
	const n = 5000
	x, disk := tabled(t, n)
	for _, path := range tables(t, disk) {
		must(t, disk.FailReads(path, 4096, 4096))
	}
	var bad int
	for i := range n {
		if e, err := x.Get(hashOf(i)); errors.Is(err, syscall.EIO) {
			bad++
		} else if err != nil || e != entryOf(i) {
			t.Fatalf("blob %d: %+v, %v", i, e, err)
		}
	}
	if bad == 0 || x.Err() != nil {
		t.Fatalf("%d rows could not be read, latched %v", bad, x.Err())
	}
	within(t, "latching", func() {
		for i := n; x.Err() == nil; i++ {
			b := x.NewBatch()
			b.Put(hashOf(i), entryOf(i))
			_ = commit(x, b, false)
		}
	})
	if err := x.Err(); !errors.Is(err, syscall.EIO) || !errors.Is(err, index.ErrCorrupt) { // a restart would meet it again
		t.Error(err)
	}
	settle(disk)
	before := x.Stats().Compactions
	for range 20 {
		time.Sleep(5 * time.Millisecond) // a loop without pauses would show
	}
	if after := x.Stats().Compactions; after > before+1 {
		t.Errorf("%d compactions after the failure", after-before)
	}
}

// Reads write nothing, whatever they meet: once the work that the writes left behind is done, nothing is written.
func TestReadsWriteNothing(t *testing.T) {
	const n = 20000
	disk := crashfs.New()
	x := open(t, optionsOn(disk))
	fill(t, x, 0, n)
	settle(disk)
	eventually(t, "a time without writes", func() bool {
		ops := disk.Ops()
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			for i := range 1000 {
				_, _ = x.Get(hashOf(i * 7 % (2 * n)))
			}
			_ = order(t, x, 0)
			must(t, x.All(func(blob.Hash, index.Entry) error { return nil }))
			_ = x.Stats()
		}
		return disk.Ops() == ops
	})
}

// eventually demands that a condition comes about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// used is what the files of the index take, in bytes.
func used(t *testing.T, disk *crashfs.FS) (bytes int64) {
	t.Helper()
	names, err := disk.List("mount/index")
	must(t, err)
	for _, name := range names {
		info, err := disk.Stat(filepath.Join("mount/index", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		must(t, err)
		bytes += (info.Size() + 4095) &^ 4095
	}
	return bytes
}

// Stats say what lies on disk, whatever happens there.
func TestStats(t *testing.T) {
	disk := crashfs.New()
	x := open(t, optionsOn(disk))
	check := func() index.Stats {
		t.Helper()
		settle(disk)
		var s index.Stats
		eventually(t, "Stats to say what lies on disk", func() bool {
			s = x.Stats()
			return s.DiskBytes == used(t, disk)
		})
		if s.LogBytes+s.TableBytes > s.DiskBytes || s.MemTableBytes == 0 {
			t.Errorf("%+v", s)
		}
		return s
	}
	check()
	for i := range 4 {
		fill(t, x, i*5000, (i+1)*5000)
		check()
	}
	s := check()
	if s.TableBytes == 0 || s.LogBytes == 0 || s.Flushes == 0 || s.Compactions == 0 {
		t.Errorf("%+v", s)
	}
	if s.EstimatedBlobs < 15000 || s.EstimatedBlobs > 25000 {
		t.Errorf("estimated %d of 20000 blobs", s.EstimatedBlobs)
	}
	for i := range 5000 {
		_, _ = x.Get(hashOf(i))
	}
	if s := x.Stats(); s.CacheHits == 0 || s.CacheMisses == 0 || s.CacheBytes == 0 {
		t.Errorf("%+v", s)
	}
	must(t, x.Close())
	x = open(t, optionsOn(disk))
	check()
}

// Rows of blobs of 4 KiB take at most 4 % of their payload, with the slot of 76 bytes in the segment.
func TestSpace(t *testing.T) {
	const n, slot = 60000, 76
	disk := crashfs.New()
	o := optionsOn(disk)
	o.MemTableBytes = 1 << 20
	x := open(t, o)
	for i := 0; i < n; i += 100 {
		b := x.NewBatch()
		for j := i; j < i+100; j++ {
			e := entryOf(j)
			e.Length, e.Seq = 4096, uint64(j)+5_000_000
			b.Put(hashOf(j), e)
		}
		must(t, b.Commit(false))
	}
	settle(disk)
	eventually(t, "4 % or less", func() bool {
		perBlob := float64(x.Stats().TableBytes) / n
		t.Logf("%.1f bytes a blob in tables, and %d for its slot", perBlob, slot)
		return perBlob > 60 && perBlob+slot <= 0.04*4096
	})
}

// Logs are not preallocated, and few are kept.
func TestNewIndexIsSmall(t *testing.T) {
	disk := crashfs.New()
	x := open(t, index.Options{FS: optionsOn(disk).FS, Dir: "mount/index"})
	if got := x.Stats().DiskBytes; got > 64<<10 {
		t.Errorf("%d bytes for an empty index", got)
	}
	fill(t, x, 0, 50000)
	settle(disk)
	if s := x.Stats(); s.LogBytes > 12<<20 {
		t.Errorf("logs of %s", fmt.Sprint(s.LogBytes))
	}
}
