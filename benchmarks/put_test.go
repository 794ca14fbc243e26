package benchmarks

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/sharded"
)

const (
	putBlobs   = 1024 // a turn
	putWriters = 8
	putSegment = 256 << 20 // several are used up in a turn, as several active ones are
)

// BenchmarkPut compares storing full blobs whose hashes are known with raw writers and with one file a blob: as many
// writers, the same bytes, the same sync calls. A raw writer has a preallocated file and writes one blob after the other.
// Under `always` each blob is synced before the next; under `interval` every file once a second, and the rate is that
// until all is on the device; under `never` none. Bar: 0.85 × the rate of raw writers.
func BenchmarkPut(b *testing.B) {
	blobs := newSupply(blob.MaxSize).take(putBlobs)
	for _, policy := range []engine.Sync{engine.SyncInterval, engine.SyncAlways, engine.SyncNever} {
		b.Run(policy.String(), func(b *testing.B) { comparePuts(b, blobs, policy) })
	}
}

func comparePuts(b *testing.B, blobs []blob.Verified, policy engine.Sync) {
	var segs, raw, files []cost
	for b.Loop() {
		segs = append(segs, putEngine(b, blobs, putWriters, policy))
		raw = append(raw, putRaw(b, blobs, policy))
		files = append(files, putFiles(b, blobs, policy))
	}
	gb := float64(len(blobs)) * float64(blobs[0].Size()) / 1e9
	perGB := func(c cost) float64 { return c.cpu.Seconds() / gb }
	rate := func(c cost) float64 { return gb / c.wall.Seconds() }
	ratio := func(x, y float64) float64 { return x / y }
	report(b, "segments/raw", median(each(mapped(segs, rate), mapped(raw, rate), ratio)), atLeast(0.85))
	report(b, "segments/files", median(each(mapped(segs, rate), mapped(files, rate), ratio)), bar{})
	report(b, "segments-cpu-s/GB", median(mapped(segs, perGB)), bar{})
	report(b, "raw-cpu-s/GB", median(mapped(raw, perGB)), bar{})
	report(b, "files-cpu-s/GB", median(mapped(files, perGB)), bar{})
	report(b, "segments-allocs/op", median(mapped(segs, func(c cost) float64 { return float64(c.mallocs) / float64(len(blobs)) })), bar{})
	report(b, "segments-GB/s", median(mapped(segs, rate)), bar{})
	report(b, "raw-GB/s", median(mapped(raw, rate)), bar{})
	report(b, "files-GB/s", median(mapped(files, rate)), bar{})
}

// putEngine stores the blobs in a new mount.
func putEngine(b *testing.B, blobs []blob.Verified, writers int, policy engine.Sync) cost {
	dir := newFolder(b)
	defer os.RemoveAll(dir)
	e := openEngine(b, engine.Options{Dir: dir, SegmentSize: putSegment, Sync: policy})
	settle()
	warmMemory(b, total(blobs))
	c := measure(func() {
		parallel(writers, len(blobs), func(i int) { put(b, e, blobs[i]) })
		if policy == engine.SyncInterval {
			if err := e.Flush(b.Context()); err != nil {
				b.Error(err)
			}
		}
	})
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	return c
}

// putRaw writes the same bytes with nothing around them.
func putRaw(b *testing.B, blobs []blob.Verified, policy engine.Sync) cost {
	return putRawAfter(b, blobs, policy, func([]byte) {})
}

// putRawAfter does something with each blob before it is written.
func putRawAfter(b *testing.B, blobs []blob.Verified, policy engine.Sync, first func(data []byte)) cost {
	dir := newFolder(b)
	defer os.RemoveAll(dir)
	each := (len(blobs) + putWriters - 1) / putWriters
	out := make([]diskfs.File, putWriters)
	for i := range out {
		f, err := diskfs.OS().Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		if err := f.Preallocate(0, int64(each)*blob.MaxSize); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		out[i] = f
	}
	settle()
	warmMemory(b, total(blobs))
	stop := syncEverySecond(b, out, policy)
	return measure(func() {
		parallel(putWriters, putWriters, func(w int) {
			f, at := out[w], int64(0)
			for i := w; i < len(blobs); i += putWriters {
				first(blobs[i].Bytes())
				if _, err := f.WriteAt(blobs[i].Bytes(), at); err != nil {
					b.Error(err)
				}
				at += blob.MaxSize
				if policy != engine.SyncAlways {
					continue
				}
				if err := f.Sync(); err != nil {
					b.Error(err)
				}
			}
		})
		stop()
	})
}

// syncEverySecond is what `interval` means for raw writers. The function that it returns ends it, with all synced.
func syncEverySecond(b *testing.B, out []diskfs.File, policy engine.Sync) func() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for last := policy != engine.SyncInterval; !last; {
			select {
			case <-stop:
				last = true
			case <-tick.C:
			}
			parallel(len(out), len(out), func(i int) {
				if err := out[i].Sync(); err != nil {
					b.Error(err)
				}
			})
		}
	}()
	return func() { close(stop); <-stopped }
}

// putFiles stores the blobs as one file each.
func putFiles(b *testing.B, blobs []blob.Verified, policy engine.Sync) cost {
	root := newFolder(b)
	defer os.RemoveAll(root)
	d, err := sharded.Open(diskfs.OS(), root, 2)
	if err != nil {
		b.Fatal(err)
	}
	settle()
	warmMemory(b, total(blobs))
	written := make([]*sharded.Written, len(blobs))
	return measure(func() {
		parallel(putWriters, len(blobs), func(i int) {
			var err error
			switch policy {
			case engine.SyncAlways:
				err = d.WriteDurable(blobs[i])
			case engine.SyncInterval:
				written[i], err = d.Write(blobs[i])
			default:
				var w *sharded.Written
				if w, err = d.Write(blobs[i]); err == nil {
					err = w.Close()
				}
			}
			if err != nil {
				b.Error(err)
			}
		})
		if policy == engine.SyncInterval {
			if err := errors.Join(d.Sync(written)...); err != nil {
				b.Error(err)
			}
		}
	})
}

// newFolder is an empty folder on a disk.
func newFolder(b *testing.B) string {
	dir, err := os.MkdirTemp(workDir(b), "turn-")
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkPutAlways4KiB measures what sharing syncs is worth: small blobs under `always`, many writers against one.
// Bar: 8 × the rate of one.
func BenchmarkPutAlways4KiB(b *testing.B) {
	const writers, blobsOfOne = 32, 500
	blobs := newSupply(4096).take(16 * blobsOfOne)
	var one, many []cost
	for b.Loop() {
		one = append(one, putEngine(b, blobs[:blobsOfOne], 1, engine.SyncAlways))
		many = append(many, putEngine(b, blobs, writers, engine.SyncAlways))
	}
	rate := func(n int) func(c cost) float64 {
		return func(c cost) float64 { return float64(n) / c.wall.Seconds() }
	}
	of1, of32 := mapped(one, rate(blobsOfOne)), mapped(many, rate(len(blobs)))
	report(b, "32-writers/1", median(each(of32, of1, func(x, y float64) float64 { return x / y })), atLeast(8))
	report(b, "cpu-µs/put", median(mapped(many, func(c cost) float64 { return float64(c.cpu.Microseconds()) / float64(len(blobs)) })), bar{})
	report(b, "allocs/put", median(mapped(many, func(c cost) float64 { return float64(c.mallocs) / float64(len(blobs)) })), bar{})
	report(b, "1-writer-puts/s", median(of1), bar{})
	report(b, "32-writers-puts/s", median(of32), bar{})
}
