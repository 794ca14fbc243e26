package benchmarks

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// BenchmarkEvict measures what it takes to make room: puts of full blobs into a full mount, by 4 writers, where each
// evicts another, against the same number of puts into a mount with room.
func BenchmarkEvict(b *testing.B) {
	const fills = 512
	blobs := newSupply(blob.MaxSize).take(2 * fills)
	var roomy, full []cost
	var slow []float64
	var evicted int64
	for b.Loop() {
		e := openEngine(b, engine.Options{Dir: newFolder(b), MaxSize: 1 << 30, SegmentSize: 16 << 20})
		settle()
		warmMemory(b, total(blobs))
		roomy = append(roomy, measure(func() { parallel(4, 400, func(i int) { put(b, e, blobs[i]) }) }))
		parallel(4, 112, func(i int) { put(b, e, blobs[400+i]) })
		before := e.Stats().Evicted
		took := make([]float64, fills)
		settle()
		warmMemory(b, total(blobs))
		full = append(full, measure(func() {
			parallel(4, fills, func(i int) {
				began := time.Now()
				put(b, e, blobs[fills+i])
				took[i] = float64(time.Since(began).Microseconds()) / 1000
			})
		}))
		evicted += e.Stats().Evicted - before
		slow = append(slow, slices.Max(took))
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
	perPut := func(n int) func(cost) float64 {
		return func(c cost) float64 { return float64(c.cpu.Microseconds()) / float64(n) }
	}
	report(b, "cpu-µs/put", median(mapped(roomy, perPut(400))), bar{})
	report(b, "cpu-µs/put-and-eviction", median(mapped(full, perPut(fills))), bar{})
	report(b, "evictions/s", float64(evicted)/sum(mapped(full, func(c cost) float64 { return c.wall.Seconds() })), bar{})
	report(b, "slowest-put-ms", slices.Max(slow), bar{})
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// BenchmarkGetWarm measures a hit without the sending: find, pin, see that the page cache has it or, if it is small,
// read it; release. The blobs were read before; one goroutine.
func BenchmarkGetWarm(b *testing.B) {
	for _, size := range []int{blob.MaxSize, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e := openEngine(b, engine.Options{Dir: newFolder(b)})
			blobs := newSupply(size).take(64)
			get := func(i int) {
				hd, err := e.Get(context.Background(), blobs[i%len(blobs)].Hash())
				if err != nil {
					b.Fatal(err)
				}
				hd.Release()
			}
			for i, v := range blobs {
				put(b, e, v)
				get(i)
			}
			const n = 100_000
			c := measure(func() {
				for i := range n {
					get(i)
				}
			})
			report(b, "allocs/get", float64(c.mallocs)/n, bar{})
			report(b, "ns/get", float64(c.wall.Nanoseconds())/n, bar{})
		})
	}
}
