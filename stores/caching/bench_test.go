package caching_test

import (
	"io"
	nethttp "net/http"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/http"
	"github.com/OdyseeTeam/prism/stores/noop"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// What a fill costs is BenchmarkFill − BenchmarkBareClient − BenchmarkSHA384, in CPU seconds a GB; the origin's own
// share is in the first two alike.

func BenchmarkFill(b *testing.B) {
	origin, v := benchOrigin(b)
	from, err := http.New(http.Options{Endpoint: origin.URL})
	if err != nil {
		b.Fatal(err)
	}
	s := caching.New(caching.Options{Cache: noop.New(noop.Options{}), Origin: from})
	defer s.Close()
	perGB(b, func() {
		h, err := s.Get(b.Context(), v.Hash())
		if err != nil {
			b.Fatal(err)
		}
		h.Release()
	})
}

func BenchmarkBareClient(b *testing.B) {
	origin, v := benchOrigin(b)
	buf := make([]byte, v.Size())
	client := &nethttp.Client{}
	defer client.CloseIdleConnections()
	perGB(b, func() {
		resp, err := client.Get(origin.URL + v.Hash().String())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	})
}

func BenchmarkSHA384(b *testing.B) {
	v := storetest.Blob(b, 1, blob.MaxSize)
	perGB(b, func() { blob.Sum(v.Bytes()) })
}

func benchOrigin(b *testing.B) (*storetest.Origin, blob.Verified) {
	b.Helper()
	origin, v := storetest.NewOrigin(b), storetest.Blob(b, 1, blob.MaxSize)
	origin.Put(v)
	return origin, v
}

// perGB runs f, which moves one blob of 2 MiB, and reports the CPU time of the process.
func perGB(b *testing.B, f func()) {
	b.Helper()
	b.SetBytes(blob.MaxSize)
	f()
	before := cpuSeconds(b)
	b.ResetTimer()
	for range b.N {
		f()
	}
	b.StopTimer()
	b.ReportMetric((cpuSeconds(b)-before)/(float64(b.N)*blob.MaxSize/1e9), "cpu-s/GB")
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
}
