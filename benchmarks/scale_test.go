package benchmarks

import (
	"context"
	"flag"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// What the benchmarks of scale work on. Small by default; a mount that was made before is used as it is, and kept.
var (
	scaleDir      = flag.String("scale-dir", "", "folder of the mount: made if it is missing, used as it is if it was made with the same flags before; empty: a temporary one")
	scaleBlobs    = flag.Int("scale-blobs", 50_000, "number of blobs in the mount")
	scaleSize     = flag.Int("scale-size", 4096, "bytes a blob")
	scaleSegment  = flag.Int64("scale-segment", 64<<20, "payload bytes a segment")
	scaleMax      = flag.Int64("scale-max", 0, "max_size in bytes; 0: none, so that nothing is evicted")
	scaleCold     = flag.Bool("scale-cold", false, "drop the page cache before each start (needs root)")
	scaleRequests = flag.Int("scale-requests", 20_000, "requests of the mixed load: three in four are hits, the others fills")
)

// scaleMount is the mount that the flags describe.
func scaleMount(b *testing.B) bigMount {
	b.Helper()
	m := bigMount{dir: *scaleDir, blobs: *scaleBlobs, size: *scaleSize, segment: *scaleSegment}
	if m.dir == "" {
		m.dir = filepath.Join(b.TempDir(), "mount")
	}
	if !m.exists() {
		if err := m.make(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	return m
}

// BenchmarkOpen starts the real program on a mount: after a clean stop, and after a kill -9 under load. What counts is
// the time from the start of the process to the first answer of /readyz, and anonymous memory after the open, at the
// peak of a mixed load, and at the peak of recovery.
func BenchmarkOpen(b *testing.B) {
	m := scaleMount(b)
	w := newScaleLoad(b, m)
	var f medians
	for b.Loop() {
		s := startOn(b, m, w.origin)
		f.add("clean-ms", s.listening.Seconds()*1e3)
		s.awaitRecovered(b)
		f.add("open-anon-MiB", s.anon(b))
		f.add("load-anon-MiB", s.peak(b, func() { w.run(b, s, *scaleRequests) }))
		w.runUntilKilled(b, s)

		s = startOn(b, m, w.origin)
		f.add("killed-ms", s.listening.Seconds()*1e3)
		var took time.Duration
		f.add("recovery-anon-MiB", s.peak(b, func() { took = s.awaitRecovered(b) }))
		f.add("recovered-s", took.Seconds())
		w.run(b, s, *scaleRequests/4)
		s.stop(b)
	}
	f.report(b)
}

// BenchmarkRebuild deletes the index and starts the real program: the time to the first answer, to the end of the work
// behind it, and what the process read for it, in relation to what is stored.
func BenchmarkRebuild(b *testing.B) {
	m := scaleMount(b)
	w := newScaleLoad(b, m)
	var f medians
	for b.Loop() {
		if err := os.RemoveAll(filepath.Join(m.dir, "index")); err != nil {
			b.Fatal(err)
		}
		s := startOn(b, m, w.origin)
		f.add("listening-ms", s.listening.Seconds()*1e3)
		var took time.Duration
		f.add("anon-MiB", s.peak(b, func() { took = s.awaitRecovered(b) }))
		f.add("rebuilt-s", took.Seconds())
		f.add("µs/blob", took.Seconds()*1e6/float64(m.blobs))
		f.add("read-%", 100*s.io(b, "rchar")/float64(m.bytes()))
		f.add("device-read-%", 100*s.io(b, "read_bytes")/float64(m.bytes()))
		if got := int(s.series(b, "prism_disk_blobs{")); got < m.blobs {
			b.Errorf("%d blobs after the rebuild, want %d", got, m.blobs)
		}
		w.run(b, s, *scaleRequests/4)
		s.stop(b)
	}
	f.report(b)
}

// hasSample is how many look-ups of BenchmarkHas are one turn.
const hasSample = 200_000

// BenchmarkHas compares Engine.Has with a bare pebble.Get on the same database, with a cache of the same size, in this
// process, in turns: the median of single look-ups of blobs that are there, at random, and of names that are not. Bar:
// 1.5 × for those that are there.
func BenchmarkHas(b *testing.B) {
	m := scaleMount(b)
	var f medians
	turn := func(name string, open func() (look func(blob.Hash) (bool, error), end func() error)) {
		runtime.GC()
		look, end := open()
		lookUp(b, m, look, 0) // warm
		there := lookUp(b, m, look, 0)
		missing := lookUp(b, m, look, m.blobs)
		if err := end(); err != nil {
			b.Fatal(err)
		}
		f.add(name+"-p50-ns", there)
		f.add(name+"-missing-p50-ns", missing)
	}
	for b.Loop() {
		turn("has", func() (func(blob.Hash) (bool, error), func() error) { return openHas(b, m) })
		turn("pebble", func() (func(blob.Hash) (bool, error), func() error) { return openBarePebble(b, m) })
	}
	ratio := func(x, y float64) float64 { return x / y }
	f.by["has/pebble"] = each(f.by["has-p50-ns"], f.by["pebble-p50-ns"], ratio)
	f.by["has/pebble-missing"] = each(f.by["has-missing-p50-ns"], f.by["pebble-missing-p50-ns"], ratio)
	f.report(b)
}

// lookUp times look-ups of m.blobs names from number `from` on, at random, and returns their median in ns.
func lookUp(b *testing.B, m bigMount, look func(blob.Hash) (bool, error), from int) float64 {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(from)))
	names := make([]blob.Hash, hasSample)
	for i := range names {
		names[i] = m.hash(from + rng.IntN(m.blobs))
	}
	took := make([]time.Duration, hasSample)
	for i, h := range names {
		began := time.Now()
		ok, err := look(h)
		took[i] = time.Since(began)
		if err != nil || ok != (from == 0) {
			b.Fatalf("look up %s: %v, %v", h.Short(), ok, err)
		}
	}
	slices.Sort(took)
	return float64(took[hasSample/2])
}

func openHas(b *testing.B, m bigMount) (func(blob.Hash) (bool, error), func() error) {
	b.Helper()
	e, err := engine.Open(b.Context(), engine.Options{Dir: m.dir, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = e.WaitRecovered(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return func(h blob.Hash) (bool, error) { return e.Has(context.Background(), h) }, e.Close
}

// pebbleCache is the engine's default for the index.
const pebbleCache = 64 << 20

// openBarePebble opens the database as anybody would who has Pebble and nothing else, but for the names of the filters,
// without which it would not read them.
func openBarePebble(b *testing.B, m bigMount) (func(blob.Hash) (bool, error), func() error) {
	b.Helper()
	cache := pebble.NewCache(pebbleCache)
	o := &pebble.Options{
		FS: pebblefs.New(diskfs.OS()), Cache: cache, FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion),
		ReadOnly: true, // it leaves the tables as the engine had them
		Logger:   quietPebble{b},
	}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	db, err := pebble.Open(filepath.Join(m.dir, "index"), o)
	if err != nil {
		b.Fatal(err)
	}
	key := make([]byte, 1+blob.HashSize)
	key[0] = 'b'
	return func(h blob.Hash) (bool, error) {
			copy(key[1:], h[:])
			_, closer, err := db.Get(key)
			if err == pebble.ErrNotFound {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			return true, closer.Close()
		}, func() error {
			defer cache.Unref()
			return db.Close()
		}
}

// quietPebble is a logger that says nothing of what goes well.
type quietPebble struct{ b *testing.B }

func (quietPebble) Infof(string, ...any) {}

func (l quietPebble) Errorf(format string, args ...any) { l.b.Logf(format, args...) }

func (l quietPebble) Fatalf(format string, args ...any) { l.b.Fatalf(format, args...) }

// medians collects what the turns of a benchmark gave; it reports medians.
type medians struct{ by map[string][]float64 }

func (f *medians) add(name string, v float64) {
	if f.by == nil {
		f.by = map[string][]float64{}
	}
	f.by[name] = append(f.by[name], v)
}

func (f *medians) report(b *testing.B) {
	for name, v := range f.by {
		b.ReportMetric(median(v), name)
	}
}
