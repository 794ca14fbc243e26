package benchmarks

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
)

var (
	checkDir   = flag.String("check-dir", "", "folder of the mounts that fsck is run on: made if they are missing, kept; empty: a temporary one")
	checkBytes = flag.Int64("check-bytes", 4<<30, "payload bytes that BenchmarkCheckData and BenchmarkCheckHash read")
)

// checkBed is a folder in which a mount may be from an earlier run.
func checkBed(b *testing.B, name string) string {
	b.Helper()
	if *checkDir == "" {
		return filepath.Join(workDir(b), name)
	}
	return filepath.Join(*checkDir, name)
}

// fsckRun is what a run of fsck took.
type fsckRun struct {
	seconds float64
	peakMiB float64 // resident
	out     []byte
	bytes   int64 // of payload, of runCheck
}

// runFsck runs the program on an empty page cache, and wants exit status 0.
func runFsck(b *testing.B, args ...string) fsckRun {
	b.Helper()
	bin, err := built()
	if err != nil {
		b.Fatal(err)
	}
	dropCaches(b)
	cmd := exec.Command(bin, append([]string{"fsck"}, args...)...)
	began := time.Now()
	r := fsckRun{out: output(b, cmd)}
	r.seconds = time.Since(began).Seconds()
	if used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.peakMiB = float64(used.Maxrss) / 1024
	}
	return r
}

// runCheck checks a mount, and says how much it read.
func runCheck(b *testing.B, what, dir string) fsckRun {
	b.Helper()
	r := runFsck(b, "check", "--json", what, dir)
	var rep check.Report
	if err := json.Unmarshal(r.out, &rep); err != nil || rep.Read != rep.Blobs || rep.Bytes == 0 {
		b.Fatalf("%v: %d payloads read of %d, %d bytes\n%s", err, rep.Read, rep.Blobs, rep.Bytes, r.out)
	}
	r.bytes = rep.Bytes
	return r
}

// BenchmarkCheck1M checks a mount of 1,000,000 blobs of 4 KiB. Beside it stands what a repair takes that believes payloads.
func BenchmarkCheck1M(b *testing.B) {
	m := bigMount{dir: checkBed(b, "m1"), blobs: 1_000_000, size: 4096, segment: 1 << 30}
	if !m.exists() {
		if err := m.make(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	var check, repair fsckRuns
	for b.Loop() {
		check = append(check, runFsck(b, "check", m.dir))
		repair = append(repair, runFsck(b, "repair", "--fast", m.dir))
		emptyQuarantine(b, m)
	}
	report(b, "check-s", check.seconds(), atMost(10))
	report(b, "check-peak-MiB", check.peakMiB(), atMost(256))
	report(b, "repair-s", repair.seconds(), bar{})
	report(b, "repair-peak-MiB", repair.peakMiB(), bar{})
}

type fsckRuns []fsckRun

func (r fsckRuns) seconds() float64 {
	return median(mapped(r, func(x fsckRun) float64 { return x.seconds }))
}

func (r fsckRuns) peakMiB() float64 {
	return median(mapped(r, func(x fsckRun) float64 { return x.peakMiB }))
}

// gbPerSecond is the rates at which runCheck went through payloads.
func (r fsckRuns) gbPerSecond() []float64 {
	return mapped(r, func(x fsckRun) float64 { return float64(x.bytes) / 1e9 / x.seconds })
}

// fullMount is a mount of full blobs on the disk, of as many bytes as the flag says.
func fullMount(b *testing.B) string {
	b.Helper()
	dir := checkBed(b, "full")
	if (bigMount{dir: dir}).exists() {
		return dir
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	fillMount(b, dir, *checkBytes)
	return dir
}

// fillMount puts full blobs into a mount, n bytes altogether.
func fillMount(b *testing.B, dir string, n int64) {
	b.Helper()
	e := openEngine(b, engine.Options{Dir: dir})
	s := newSupply(blob.MaxSize)
	bufs := sync.Pool{New: func() any { return new([blob.MaxSize]byte) }}
	parallel(runtime.NumCPU(), int(n/blob.MaxSize), func(int) {
		buf := bufs.Get().(*[blob.MaxSize]byte)
		defer bufs.Put(buf)
		put(b, e, s.fill(buf[:]))
	})
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}

// memoryDir is a file system in memory.
const memoryDir = "/dev/shm"

// BenchmarkCheckHash reads full blobs with `check --hash`: where no disk is in the way, from a mount in memory, and from
// that of BenchmarkCheckData. Bar: 0.9 × what crypto/sha512 hashes on all cores, from memory. Lanes hash more than that,
// and a disk may give less: both stand beside it.
func BenchmarkCheckHash(b *testing.B) {
	inMemory, err := os.MkdirTemp(memoryDir, "prism-bench-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(inMemory)
	small := *checkBytes / 2
	fillMount(b, inMemory, small)
	onDisk := fullMount(b)
	stretches := dataOf(b, filepath.Join(onDisk, "segments"))
	var memory, check fsckRuns
	var alone, lanes, disk []float64
	for b.Loop() {
		alone = append(alone, hashRate(false))
		memory = append(memory, runCheck(b, "--hash", inMemory))
		lanes = append(lanes, hashRate(true))
		check = append(check, runCheck(b, "--hash", onDisk))
		disk = append(disk, directBy8.rate(b, stretches))
	}
	over := func(x, y float64) float64 { return x / y }
	slower := each(lanes, disk, func(x, y float64) float64 { return min(x, y) })
	rates := check.gbPerSecond()
	report(b, "memory/sha512", median(each(memory.gbPerSecond(), alone, over)), atLeast(0.9))
	report(b, "memory/lanes", median(each(memory.gbPerSecond(), lanes, over)), bar{})
	report(b, "check/slower-of-lanes-and-disk", median(each(rates, slower, over)), bar{})
	report(b, "memory-GB/s", median(memory.gbPerSecond()), bar{})
	report(b, "check-GB/s", median(rates), bar{})
	report(b, "sha512-GB/s", median(alone), bar{})
	report(b, "lanes-GB/s", median(lanes), bar{})
	report(b, "disk-GB/s", median(disk), bar{})
	report(b, "peak-MiB", check.peakMiB(), bar{})
}

// hashRate is how many GB a second of full blobs in memory are hashed on all cores: each by itself, or on lanes, of which
// each core has its own.
func hashRate(onLanes bool) float64 {
	const blobs = 1024
	s := newSupply(blob.MaxSize)
	name := blob.Sum(s.base)
	cores, streams := runtime.NumCPU(), 1
	lanes := make([]*blob.Lanes, cores)
	if onLanes {
		streams = 8
		for i := range lanes {
			lanes[i] = blob.NewLanes()
		}
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range cores * streams {
		wg.Go(func() {
			for range blobs / (cores * streams) {
				_, _ = lanes[i%cores].Verify(name, s.base)
			}
		})
	}
	wg.Wait()
	return float64(blobs/(cores*streams)*cores*streams) * blob.MaxSize / 1e9 / time.Since(began).Seconds()
}

// BenchmarkRebuildIndex makes the index of 1 TiB of full blobs anew from the tables of their segments, on an empty page
// cache. The payloads share their blocks, for which -check-dir is to be on XFS or btrfs.
func BenchmarkRebuildIndex(b *testing.B) {
	m := bigMount{dir: checkBed(b, "t1"), blobs: 1 << 19, size: blob.MaxSize, segment: 1 << 30}
	if !m.exists() {
		mustShareBlocks(b, m)
		if err := m.make(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	var rebuild fsckRuns
	for b.Loop() {
		rebuild = append(rebuild, runFsck(b, "rebuild-index", m.dir))
		emptyQuarantine(b, m)
	}
	report(b, "rebuild-s", rebuild.seconds(), atMost(60))
	report(b, "rebuild-peak-MiB", rebuild.peakMiB(), bar{})
}

// emptyQuarantine removes the index that was.
func emptyQuarantine(b *testing.B, m bigMount) {
	b.Helper()
	if err := os.RemoveAll(filepath.Join(m.dir, "quarantine")); err != nil {
		b.Fatal(err)
	}
}

// mustShareBlocks ends a benchmark that would fill the disk.
func mustShareBlocks(b *testing.B, m bigMount) {
	b.Helper()
	fsys, err := newCloneFS(m)
	if err != nil {
		b.Fatal(err)
	}
	if fsys.donor == nil {
		b.Fatalf("%s cannot share blocks: -check-dir is to name a folder on XFS or btrfs", filepath.Dir(m.dir))
	}
	if err := fsys.donor.Close(); err != nil {
		b.Fatal(err)
	}
}
