package benchmarks

import (
	"flag"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

var spaceBytes = flag.Int64("space", 2<<30, "bytes of payload that BenchmarkSpace stores; the bar for full blobs is for 20 GiB and more")

// BenchmarkSpace measures what a mount at rest takes on disk beyond its payloads, index and all: full blobs, small ones,
// and small ones after three times as many as fit came and went, a quarter of them kept for another round each time. Bars: 0.3 %
// and 4 %.
func BenchmarkSpace(b *testing.B) {
	b.Run("2MiB", func(b *testing.B) {
		e, dir := spaceEngine(b, 2*(*spaceBytes))
		storeNew(b, e, blob.MaxSize, int(*spaceBytes/blob.MaxSize), 0)
		reportSpace(b, e, dir, 0.3)
	})
	b.Run("4KiB", func(b *testing.B) {
		e, dir := spaceEngine(b, 8<<30)
		storeNew(b, e, 4096, int(min(*spaceBytes, 4<<30)/4096), 0)
		reportSpace(b, e, dir, 4)
	})
	b.Run("4KiB-churned", func(b *testing.B) {
		const most = 2 << 30
		e, dir := spaceEngine(b, most)
		storeNew(b, e, 4096, 4*most/4096, 4)
		reportSpace(b, e, dir, 4)
	})
}

func spaceEngine(b *testing.B, most int64) (*engine.Engine, string) {
	dir := newFolder(b)
	return openEngine(b, engine.Options{Dir: dir, MaxSize: most, Sync: engine.SyncInterval}), dir
}

// storeNew stores n blobs of a size, of which one of every `reread` is read twice at once.
func storeNew(b *testing.B, e *engine.Engine, size, n, reread int) {
	s := newSupply(size)
	parallel(8, 8, func(w int) {
		buf := make([]byte, size)
		for i := w; i < n; i += 8 {
			v := s.number(uint64(i), buf)
			put(b, e, v)
			for r := 0; reread > 0 && i/8%reread == 0 && r < 2; r++ {
				if hd, err := e.Get(b.Context(), v.Hash()); err == nil {
					hd.Release()
				}
			}
		}
	})
}

// reportSpace closes the engine and compares what lies on disk with what is live.
func reportSpace(b *testing.B, e *engine.Engine, dir string, most float64) {
	s := e.Stats()
	open := onDisk(b, dir)
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	size := s.LiveBytes // whole blocks: the blobs here have no other sizes
	over := func(n int64) float64 { return 100 * (float64(n)/float64(size) - 1) }
	report(b, "over-payload-%", over(onDisk(b, dir)), atMost(most))
	report(b, "of-it-index-%", 100*float64(onDisk(b, filepath.Join(dir, "index")))/float64(size), bar{})
	report(b, "while-open-%", over(open), bar{})
	report(b, "payload-GiB", float64(size)/(1<<30), bar{})
}

// onDisk is what a folder and all in it occupy.
func onDisk(b *testing.B, dir string) (n int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
