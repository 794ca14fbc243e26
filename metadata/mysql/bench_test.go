package mysql_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
)

// durable has a server sync its log with each commit, as it does when nobody changes it.
func durable() testbed.MariaDBOptions {
	return testbed.MariaDBOptions{Args: []string{
		"--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=O_DIRECT", "--innodb-buffer-pool-size=256M",
	}}
}

// BenchmarkStored asks for 1,000,000 hashes, half of which are stored.
func BenchmarkStored(b *testing.B) {
	s := testbed.MariaDB(b, durable())
	o := options(s, s.Database(b))
	o.CreateSchema = true
	c := open(b, o)
	defer c.Close()
	hashes := metadatatest.Hashes("bench", 1_000_000)
	if err := c.PutBlobs(b.Context(), metadatatest.Blobs(9, noon(), hashes[:len(hashes)/2]...)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Stored(b.Context(), hashes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutStream notes an SD blob with 500 content blobs, in a catalogue of 200,000 blobs.
func BenchmarkPutStream(b *testing.B) {
	s := testbed.MariaDB(b, durable())
	o := options(s, s.Database(b))
	o.CreateSchema = true
	c := open(b, o)
	defer c.Close()
	if err := c.PutBlobs(b.Context(), metadatatest.Blobs(9, noon(), metadatatest.Hashes("bench", 200_000)...)); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		name := fmt.Sprint("stream", n)
		sd := metadatatest.Blobs(9, noon(), metadatatest.Hash("sd "+name))[0]
		if err := c.PutStream(b.Context(), sd, metadatatest.Stream(name, metadatatest.Hashes(name, 500)...)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBlock notes 1,000,000 hashes as blocked, as a first start with such a list does, and then again, as each later
// start does.
func BenchmarkBlock(b *testing.B) {
	s := testbed.MariaDB(b, durable())
	o := options(s, s.Database(b))
	o.CreateSchema = true
	c := open(b, o)
	defer c.Close()
	var took [2]time.Duration
	n := 0
	for b.Loop() {
		n++
		b.StopTimer()
		hashes := metadatatest.Hashes(fmt.Sprint("bench", n), 1_000_000)
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
