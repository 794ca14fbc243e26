package benchmarks

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// BenchmarkScrub compares hits of full blobs from the page cache, over 4 connections, with and without a scrub beside them:
// one that has to read 20 TB in 30 days, and one in a tenth of that. A turn is hits without, with the one, and with the
// other; turns follow each other in another order each time, and each counts by its median, so that what else the machine
// does meets all three. Bar: the 99th percentile of a hit grows by 5 % at most.
func BenchmarkScrub(b *testing.B) {
	const n, hits, turns = 256, 4000, 7
	const month, disk = 30 * 24 * time.Hour, 20 << 40
	period := time.Duration(float64(month) * n * blob.MaxSize / disk)
	blobs := newSupply(blob.MaxSize).take(n)
	dir := newFolder(b)
	fillForScrub(b, dir, blobs)
	periods := []time.Duration{0, period, period / 10}
	p99, rate := make([][]float64, len(periods)), make([][]float64, len(periods))
	for b.Loop() {
		for turn := range turns {
			for i := range periods {
				k := (i + turn) % len(periods)
				p, mbs := hitsBeside(b, dir, blobs, hits, periods[k])
				p99[k], rate[k] = append(p99[k], p), append(rate[k], mbs)
			}
		}
	}
	ratio := func(k int) float64 { return median(each(p99[k], p99[0], func(x, y float64) float64 { return x / y })) }
	report(b, "p99/p99-without", ratio(1), atMost(1.05))
	report(b, "p99-dense/p99-without", ratio(2), atMost(1.05))
	report(b, "p99-without-ms", median(p99[0]), bar{})
	report(b, "p99-ms", median(p99[1]), bar{})
	report(b, "p99-dense-ms", median(p99[2]), bar{})
	report(b, "scrub-MB/s", median(rate[1]), bar{})
	report(b, "scrub-dense-MB/s", median(rate[2]), bar{})
}

func fillForScrub(b *testing.B, dir string, blobs []blob.Verified) {
	b.Helper()
	e := openEngine(b, engine.Options{Dir: dir, SegmentSize: 64 << 20})
	for _, v := range blobs {
		put(b, e, v)
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	settle()
}

// hitsBeside sends blobs beside a scrub of that period, or none, and gives the 99th percentile in ms and the scrub's rate.
func hitsBeside(b *testing.B, dir string, blobs []blob.Verified, hits int, period time.Duration) (p99, mbs float64) {
	b.Helper()
	e := openEngine(b, engine.Options{Dir: dir, SegmentSize: 64 << 20, ScrubPeriod: period})
	for _, v := range blobs { // into the page cache
		hd, err := e.Get(context.Background(), v.Hash())
		if err != nil {
			b.Fatal(err)
		}
		hd.Release()
	}
	const connections = 4
	var mu sync.Mutex
	var took []float64
	read, began := e.Stats().Scrub.Bytes, time.Now()
	parallel(connections, connections, func(c int) {
		to := newSink(b)
		mine := make([]float64, 0, hits/connections)
		for i := range hits / connections {
			at := time.Now()
			if err := send(e, blobs[(i*connections+c)%len(blobs)].Hash(), to); err != nil {
				b.Error(err)
				return
			}
			mine = append(mine, float64(time.Since(at).Microseconds())/1000)
		}
		mu.Lock()
		took = append(took, mine...)
		mu.Unlock()
	})
	mbs = float64(e.Stats().Scrub.Bytes-read) / 1e6 / time.Since(began).Seconds()
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	return percentile(took, 0.99), mbs
}
