package benchmarks

import (
	"crypto/sha512"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
)

// BenchmarkHit2MiB compares hits on full blobs, from the page cache, on 8 connections: CPU seconds per GB. One
// iteration asks each server for the same 2 GB. Bars: segments 1.15 × bare, sharded 2 × bare.
func BenchmarkHit2MiB(b *testing.B) {
	d := makeData(b, 64, blob.MaxSize)
	origin := startOrigin(b, d.dir)
	t := turns{b: b, data: d, requests: 1000, conns: 8}
	t.add("segments", startPrism(b, "segments", origin))
	t.add("sharded", startPrism(b, "sharded", origin))
	t.add("bare", startBare(b, d))
	t.run()
	bare := t.perGB("bare")
	for _, name := range []string{"segments", "sharded"} {
		b.ReportMetric(median(t.perGB(name)), name+"-cpu-s/GB")
		b.ReportMetric(median(each(t.perGB(name), bare, func(x, y float64) float64 { return x / y })), name+"/bare")
	}
	b.ReportMetric(median(bare), "bare-cpu-s/GB")
}

// BenchmarkHit4KiB compares hits on small blobs on 32 connections: CPU microseconds a request. Bar: bare + 12 µs.
func BenchmarkHit4KiB(b *testing.B) {
	d := makeData(b, 4096, 4096)
	origin := startOrigin(b, d.dir)
	t := turns{b: b, data: d, requests: 50_000, conns: 32}
	t.add("segments", startPrism(b, "segments", origin))
	t.add("bare", startBare(b, d))
	t.run()
	prism, bare := t.perRequest("segments"), t.perRequest("bare")
	b.ReportMetric(median(prism), "segments-cpu-µs/req")
	b.ReportMetric(median(bare), "bare-cpu-µs/req")
	b.ReportMetric(median(each(prism, bare, func(x, y float64) float64 { return x - y })), "over-bare-µs/req")
}

// BenchmarkFill measures what a fill costs beyond what no cache can save: CPU seconds per GB of a run of misses, less
// SHA-384 of the same bytes, less a bare client that reads them from the same origin. Bar: 0.5. SHA-384 is that of
// crypto/sha512, one blob at a time; what the same bytes take on full lanes stands beside it.
func BenchmarkFill(b *testing.B) {
	d := makeData(b, 1024+64, blob.MaxSize)
	warmUp := d.cut(64)
	origin := startOrigin(b, d.dir)
	gb := float64(d.bytes()) / 1e9
	var all, hash, lanes, client, rest []float64
	for b.Loop() {
		s := startPrism(b, "segments", origin)
		load(b, s.addr, warmUp, len(warmUp), 8) // so that no memory of the process is new
		before := cpu(b, s)
		for some := range slices.Chunk(d.hashes, 256) { // less than a second's fills: the memory stays warm
			warmMemory(b, 256*blob.MaxSize*5/4)
			load(b, s.addr, some, len(some), 8)
		}
		// Stopping writes and syncs what is left, which the fills owe.
		used := cpuAtStop(b, s) - before
		hashed, fetched := hashing(b, d), fetching(b, d, origin)
		all = append(all, used.Seconds()/gb)
		hash = append(hash, hashed.Seconds()/gb)
		lanes = append(lanes, lanesOfFiles(b, d).Seconds()/gb)
		client = append(client, fetched.Seconds()/gb)
		rest = append(rest, (used-hashed-fetched).Seconds()/gb)
	}
	b.ReportMetric(median(all), "fill-cpu-s/GB")
	b.ReportMetric(median(hash), "sha384-cpu-s/GB")
	b.ReportMetric(median(lanes), "sha384-on-lanes-cpu-s/GB")
	b.ReportMetric(median(client), "client-cpu-s/GB")
	b.ReportMetric(median(rest), "fill-less-hash-and-client-cpu-s/GB")
}

// turns has several servers take turns at the same requests.
type turns struct {
	b        *testing.B
	data     *data
	requests int // a turn
	conns    int
	names    []string
	servers  map[string]*server
	used     map[string][]time.Duration // processor time of each turn
}

func (t *turns) add(name string, s *server) {
	if t.servers == nil {
		t.servers, t.used = map[string]*server{}, map[string][]time.Duration{}
	}
	t.names = append(t.names, name)
	t.servers[name] = s
	t.load(s, 2*len(t.data.hashes)) // fill, then read once
}

// load has a server answer requests, in the protocol that it speaks.
func (t *turns) load(s *server, requests int) {
	loadWith(t.b, s.ask, s.addr, t.data.hashes, requests, t.conns)
}

func (t *turns) run() {
	for t.b.Loop() {
		for _, name := range t.names {
			s := t.servers[name]
			before := cpu(t.b, s)
			t.load(s, t.requests)
			t.used[name] = append(t.used[name], cpu(t.b, s)-before)
		}
	}
}

// perGB is the processor time of each turn of a server in seconds per GB.
func (t *turns) perGB(name string) []float64 {
	gb := float64(t.requests) * float64(t.data.size) / 1e9
	return scaled(t.used[name], 1/gb)
}

// perRequest is the same in microseconds a request.
func (t *turns) perRequest(name string) []float64 {
	return scaled(t.used[name], 1e6/float64(t.requests))
}

func scaled(d []time.Duration, by float64) []float64 {
	out := make([]float64, len(d))
	for i := range d {
		out[i] = d[i].Seconds() * by
	}
	return out
}

// each combines two rows of figures turn by turn.
func each(x, y []float64, f func(x, y float64) float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = f(x[i], y[i])
	}
	return out
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v)%2 == 0 {
		return (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return v[len(v)/2]
}

func cpu(b *testing.B, s *server) time.Duration {
	b.Helper()
	used, err := s.CPU()
	if err != nil {
		b.Fatal(err)
	}
	return used
}

// cpuAtStop stops a server and returns the processor time of its whole life.
func cpuAtStop(b *testing.B, s *server) time.Duration {
	b.Helper()
	if err := s.Stop(30 * time.Second); err != nil {
		b.Fatal(err)
	}
	return s.FinalCPU()
}

// hashing is the processor time of SHA-384 over all blobs.
func hashing(b *testing.B, d *data) time.Duration {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var used time.Duration
	for _, h := range d.hashes {
		data, err := os.ReadFile(filepath.Join(d.dir, h))
		if err != nil {
			b.Fatal(err)
		}
		before := threadCPU(b)
		sha512.Sum384(data)
		used += threadCPU(b) - before
	}
	return used
}

func threadCPU(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fetching is the processor time of a bare client that reads all blobs from the origin.
func fetching(b *testing.B, d *data, origin string) time.Duration {
	b.Helper()
	out, err := asRole("fetch", d.list, origin).Output()
	if err != nil {
		b.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}
