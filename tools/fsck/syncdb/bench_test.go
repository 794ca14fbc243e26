package syncdb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

// peak is a limit that takes nothing, and looks how large the heap is.
type peak struct{ bytes uint64 }

func (p *peak) WaitN(context.Context, int) error {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	p.bytes = max(p.bytes, m.HeapAlloc)
	return nil
}

// plant writes files past the store, as another program has.
func (b *bed) plant(blobs []blob.Verified) {
	b.t.Helper()
	for _, v := range blobs {
		name := v.Hash().String()
		dir := filepath.Join(b.mount, name[:2])
		b.must(errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, name), v.Bytes(), 0o600)))
	}
}

// BenchmarkCompare compares 100,000 blobs with as many rows.
func BenchmarkCompare(b *testing.B) {
	const n = 100_000
	server := testbed.MariaDB(b, testbed.MariaDBOptions{})
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		for name, s := range map[string]*testbed.MariaDBServer{"bolt": nil, "MariaDB": server} {
			bed := newBed(b, mode, s)
			var blobs []blob.Verified
			for i := range n {
				blobs = append(blobs, storetest.Blob(b, uint64(i), 20))
			}
			if mode == disk.ModeSegments {
				bed.put(blob.KindContent, blobs...)
			} else {
				bed.plant(blobs)
			}
			bed.note(time.Time{}, blobs...)
			blobs = nil
			b.Run(fmt.Sprintf("%s, %s", mode, name), func(b *testing.B) {
				for b.Loop() {
					if r := bed.run(false, 0); !r.Clean() || r.Both != n {
						b.Fatalf("%s", r)
					}
				}
				b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
				b.StopTimer()
				p := &peak{}
				o := bed.options(false, 0)
				o.Limit = p
				if _, err := syncdb.Run(b.Context(), o); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(p.bytes)/(1<<20), "heap-MiB")
			})
		}
	}
}
