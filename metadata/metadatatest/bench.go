package metadatatest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// many is how many hashes the benchmarks have to do with.
const many = 1_000_000

// BenchmarkStored asks an empty catalogue for 1,000,000 hashes, once half of them are stored.
func BenchmarkStored(b *testing.B, c metadata.Catalogue) {
	hashes := Hashes("bench", many)
	if err := c.PutBlobs(b.Context(), Blobs(9, noon(), hashes[:len(hashes)/2]...)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Stored(b.Context(), hashes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutStream notes an SD blob with 500 content blobs, once the catalogue has 1,000,000 blobs.
func BenchmarkPutStream(b *testing.B, c metadata.Catalogue) {
	if err := c.PutBlobs(b.Context(), Blobs(9, noon(), Hashes("bench", many)...)); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		name := fmt.Sprint("stream", n)
		sd := Blobs(9, noon(), Hash("sd "+name))[0]
		if err := c.PutStream(b.Context(), sd, Stream(name, Hashes(name, 500)...)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBlock notes 1,000,000 hashes as blocked, as a first start with such a list does, and then again, as each later
// start does.
func BenchmarkBlock(b *testing.B, c metadata.Catalogue) {
	var took [2]time.Duration
	n := 0
	for b.Loop() {
		n++
		b.StopTimer()
		hashes := Hashes(fmt.Sprint("bench", n), many)
		slices.SortFunc(hashes, func(x, y blob.Hash) int { return bytes.Compare(x[:], y[:]) }) // as the list gives them
		b.StartTimer()
		for i := range took {
			start := time.Now()
			if err := c.Block(b.Context(), hashes); err != nil {
				b.Fatal(err)
			}
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(took[0].Seconds()/float64(n), "s/first-start")
	b.ReportMetric(took[1].Seconds()/float64(n), "s/second-start")
}
