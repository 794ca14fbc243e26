package s3_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores/s3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// BenchmarkPut puts blobs of 2 MiB and reports the processor time of this process a GB: the server is another one.
func BenchmarkPut(b *testing.B) {
	server := testbed.S3(b)
	s, err := s3.New(options(server))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var blobs [16]blob.Verified
	for i := range blobs {
		blobs[i] = storetest.Blob(b, uint64(i), blob.MaxSize)
	}
	b.SetBytes(blob.MaxSize)
	before, n := processorTime(b), 0
	for b.Loop() {
		if err := s.Put(b.Context(), blobs[n%len(blobs)], blob.KindContent); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric((processorTime(b)-before).Seconds()*float64(1<<30)/float64(n*blob.MaxSize), "cpu-s/GB")
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
