package benchmarks

import (
	"flag"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

var hitsFor = flag.Duration("hits-for", 10*time.Second, "how long BenchmarkHitsWrite reads")

// BenchmarkWritten measures what is written for a fill of a full mount under `interval`: 100,000 blobs of 4 to 64 KiB,
// each of which evicts another, a quarter of them read once more and so kept for another round. Metadata is the index's log,
// its tables as they are flushed and compacted, slots, and all else but payloads. Beside it stands what the process says
// that it wrote, in whole pages, and what the device was told to, by anybody, both less the payloads' blocks. Bars: 1.5
// KiB a fill; payloads 1.1 times.
func BenchmarkWritten(b *testing.B) {
	const fills = 100_000
	fsys := &countingFS{FS: diskfs.OS()}
	dir := newFolder(b)
	e := openEngine(b, engine.Options{FS: fsys, Dir: dir, MaxSize: 1 << 30})
	for round := uint64(0); e.Stats().Evicted == 0; round++ { // until it is full
		fillSmall(b, e, 2000, round)
	}
	settle()
	fsys.reset()
	evicted, process, device, began := e.Stats().Evicted, writtenBy(b, "self"), deviceWrites(b, dir), time.Now()
	payload, blocks := fillSmall(b, e, fills, 1<<32)
	took := time.Since(began)
	if err := e.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	settle()
	process, device = writtenBy(b, "self")-process, deviceWrites(b, dir)-device
	perFill := func(n int64) float64 { return float64(n) / 1024 / fills }
	report(b, "metadata-KiB/fill", perFill(fsys.metadata()), atMost(1.5))
	report(b, "payload-written/payload", float64(fsys.payload.Load())/float64(payload), atMost(1.1))
	report(b, "log-KiB/fill", perFill(fsys.log.Load()), bar{})
	report(b, "tables-KiB/fill", perFill(fsys.tables.Load()), bar{})
	report(b, "slots-KiB/fill", perFill(fsys.slots.Load()), bar{})
	report(b, "other-KiB/fill", perFill(fsys.other.Load()), bar{})
	report(b, "process-KiB/fill", perFill(process-blocks), bar{})
	report(b, "device-KiB/fill", perFill(device-blocks), bar{})
	report(b, "evictions/fill", float64(e.Stats().Evicted-evicted)/fills, bar{})
	report(b, "fills/s", fills/took.Seconds(), bar{})
}

// fillSmall puts n blobs of random sizes that no other round has, from 4 goroutines, and says how many bytes and bytes in
// whole blocks they have.
func fillSmall(b *testing.B, e *engine.Engine, n int, round uint64) (payload, blocks int64) {
	var bytes, whole atomic.Int64
	parallel(4, 4, func(w int) {
		pick := rand.New(rand.NewPCG(round, uint64(w)))
		s := newSupply(64 << 10)
		buf := make([]byte, 64<<10)
		for i := range n / 4 {
			size := 4096 + pick.IntN(len(buf)-4096)
			part := supply{base: s.base[:size]}
			v := part.number(round<<16+uint64(w)<<60+uint64(i), buf)
			put(b, e, v)
			bytes.Add(int64(size))
			whole.Add(int64(size+4095) &^ 4095)
			if i%4 == 0 { // the first read after a fill does not count, the second does
				for range 2 {
					if hd, err := e.Get(b.Context(), v.Hash()); err == nil {
						hd.Release()
					}
				}
			}
		}
	})
	return bytes.Load(), whole.Load()
}

// BenchmarkHitsWrite reads blobs of two sizes at random for a while. Bar: nothing is written.
func BenchmarkHitsWrite(b *testing.B) {
	fsys := &countingFS{FS: diskfs.OS()}
	dir := newFolder(b)
	e := openEngine(b, engine.Options{FS: fsys, Dir: dir, MaxSize: 1 << 30})
	blobs := append(newSupply(blob.MaxSize).take(64), newSupply(4096).take(5000)...)
	for _, v := range blobs {
		put(b, e, v)
	}
	if err := e.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	time.Sleep(2 * time.Second) // what the fills left to be done is done
	settle()
	fsys.reset()
	process := writtenBy(b, "self")
	end := time.Now().Add(*hitsFor)
	var hits atomic.Int64
	parallel(4, 4, func(w int) {
		to := newSink(b)
		pick := rand.New(rand.NewPCG(uint64(w), 3))
		for time.Now().Before(end) {
			if err := send(e, blobs[pick.IntN(len(blobs))].Hash(), to); err != nil {
				b.Error(err)
				return
			}
			hits.Add(1)
		}
	})
	report(b, "bytes-written", float64(fsys.metadata()+fsys.payload.Load()), bar{most: 0.5})
	report(b, "process-bytes-written", float64(writtenBy(b, "self")-process), bar{most: 0.5})
	report(b, "seconds", hitsFor.Seconds(), bar{})
	report(b, "hits", float64(hits.Load()), bar{})
}
