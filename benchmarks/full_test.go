package benchmarks

import (
	"bufio"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

var fullFor = flag.Duration("full-for", 20*time.Second, "how long BenchmarkFull fills")

const (
	fullSize  = 3 << 30 // of the cache
	fullHits  = 256     // blobs that are asked for again and again
	fullFills = 2048    // blobs that are asked for in turn: more than fit
	fillRate  = 50e6    // bytes of fills a second
	stall     = 50 * time.Millisecond
)

// BenchmarkFull asks a blobcache whose disk is full for full blobs in an open loop: hits at a quarter of the rate that it
// can do, first alone, then together with fills of 50 MB/s, each of which evicts, then alone again. A latency counts from
// when the request was due. A stall is a hit that took more than 50 ms longer than a goroutine of the client that only
// wakes up every millisecond was held up meanwhile. Bars: p99 2 × that without fills; no stall.
func BenchmarkFull(b *testing.B) {
	names, list := nameBlobs(b, fullHits+fullFills)
	hits, fills := names[:fullHits], names[fullHits:]
	origin := startMade(b, list)
	s := startFull(b, origin.addr)
	for _, some := range [][]string{hits, hits, fills, hits, hits} { // the second time says that a blob is worth keeping
		load(b, s.addr, some, len(some), 4)
	}
	began := time.Now()
	const most = 3000
	load(b, s.addr, hits, most, 8)
	rate := most / time.Since(began).Seconds() / 4
	alone := openLoop(b, s.addr, hits, rate, *fullFor/10)
	evicting := make(chan loopResult)
	go func() { evicting <- openLoop(b, s.addr, fills, fillRate/blob.MaxSize, *fullFor) }()
	before := cpu(b, s)
	both := openLoop(b, s.addr, hits, rate, *fullFor)
	used := cpu(b, s) - before
	filled := <-evicting
	again := openLoop(b, s.addr, hits, rate, *fullFor/10)
	alone.add(again)
	p99 := func(r loopResult) float64 { return percentile(r.ms, 0.99) }
	report(b, "p99-with-fills/without", p99(both)/p99(alone), atMost(2))
	report(b, "stalls", float64(both.stalls), bar{most: 0.5})
	report(b, "stalls-without-fills", float64(alone.stalls), bar{})
	report(b, "p99-ms", p99(both), bar{})
	report(b, "p99-without-fills-ms", p99(alone), bar{})
	report(b, "p50-ms", percentile(both.ms, 0.5), bar{})
	report(b, "p50-without-fills-ms", percentile(alone.ms, 0.5), bar{})
	report(b, "worst-ms", slices.Max(both.ms), bar{})
	report(b, "worst-without-fills-ms", slices.Max(alone.ms), bar{})
	report(b, "worst-of-control-ms", both.control, bar{})
	report(b, "fills-p99-ms", p99(filled), bar{})
	report(b, "fills-MB/s", float64(len(filled.ms))*blob.MaxSize/1e6/fullFor.Seconds(), bar{})
	report(b, "hits/s", float64(len(both.ms))/fullFor.Seconds(), bar{})
	report(b, "hits-asked/s", rate, bar{})
	report(b, "server-cores", used.Seconds()/fullFor.Seconds(), bar{})
	report(b, "seconds", fullFor.Seconds(), bar{})
}

// nameBlobs gives the names of the first n full blobs of a supply, and a file that lists them.
func nameBlobs(b *testing.B, n int) (names []string, list string) {
	names = make([]string, n)
	s := newSupply(blob.MaxSize)
	parallel(2, 2, func(w int) {
		buf := make([]byte, blob.MaxSize)
		for i := w; i < n; i += 2 {
			names[i] = s.number(uint64(i), buf).Hash().String()
		}
	})
	list = filepath.Join(b.TempDir(), "list")
	if err := os.WriteFile(list, []byte(strings.Join(names, "\n")), 0o600); err != nil {
		b.Fatal(err)
	}
	return names, list
}

// startMade starts an origin that makes the blobs of a list when they are asked for.
func startMade(b *testing.B, list string) *server {
	p := port(b)
	return start(b, "origin", asRole("made", list, fmt.Sprintf("127.0.0.1:%d", p)), p, "/readyz")
}

// serveMade is that origin.
func serveMade(list, addr string) error {
	f, err := os.Open(list)
	if err != nil {
		return err
	}
	defer f.Close()
	at := map[string]uint64{}
	for in := bufio.NewScanner(f); in.Scan(); {
		at["/"+in.Text()] = uint64(len(at))
	}
	s := newSupply(blob.MaxSize)
	bufs := sync.Pool{New: func() any { b := make([]byte, blob.MaxSize); return &b }}
	serve := &http.Server{Addr: addr, ReadHeaderTimeout: 10 * time.Second}
	serve.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, ok := at[r.URL.Path]
		if r.URL.Path == "/readyz" {
			return
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		buf := bufs.Get().(*[]byte)
		defer bufs.Put(buf)
		s.stamp(n, *buf)
		w.Header().Set("Content-Length", strconv.Itoa(blob.MaxSize))
		_, _ = w.Write(*buf)
	})
	return serve.ListenAndServe()
}

// startFull starts a blobcache whose disk is soon full.
func startFull(b *testing.B, origin string) *server {
	bin, err := built()
	if err != nil {
		b.Fatal(err)
	}
	dir, p := workDir(b), port(b)
	conf := fmt.Sprintf(`
servers:
  http: {port: %d, address: 127.0.0.1}
lists: {blocklist: {enabled: false}, protected: {enabled: false}}
store:
  caching:
    name: bench
    cache:
      disk: {mode: segments, mount_point: %q, max_size: %d}
    origin:
      http: {endpoint: "http://%s/"}
`, p, filepath.Join(dir, "mount"), int64(fullSize), origin)
	if err := os.Mkdir(filepath.Join(dir, "mount"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobcache.yaml"), []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(bin, "blobcache", "--conf-dir", dir, "--metrics-port", strconv.Itoa(port(b)))
	return start(b, "prism", cmd, p, "/readyz")
}

// loopResult is what the requests of an open loop took.
type loopResult struct {
	ms      []float64
	stalls  int
	control float64 // ms, the worst
}

func (r *loopResult) add(other loopResult) {
	r.ms = append(r.ms, other.ms...)
	r.stalls += other.stalls
	r.control = max(r.control, other.control)
}

// openLoop asks for blobs in turn, `rate` of them a second, whether or not earlier ones have been answered. Each
// connection has had one answer before the clock starts: on loopback, whose segments are as large as the first window of
// a reader, TCP holds up the first answer of one connection in some by 40 to 250 ms, whatever the server.
func openLoop(b *testing.B, addr string, names []string, rate float64, length time.Duration) (r loopResult) {
	const conns = 48
	due := make(chan time.Time, int(rate*length.Seconds())+1) // nobody waits to ask
	var next, wg = 0, sync.WaitGroup{}
	var mu sync.Mutex
	ready := connect(b, addr, names, conns)
	control := startGauge()
	for _, c := range ready {
		wg.Go(func() {
			defer c.Close()
			for at := range due {
				mu.Lock()
				name := names[next%len(names)]
				next++
				mu.Unlock()
				if _, err := c.get(name); err != nil {
					b.Error(err)
					return
				}
				end := time.Now()
				late := end.Sub(at) - control.late(at, end)
				mu.Lock()
				r.ms = append(r.ms, end.Sub(at).Seconds()*1000)
				if late > stall {
					r.stalls++
				}
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	for i := 0; ; i++ {
		at := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if at.Sub(began) > length {
			break
		}
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	wg.Wait()
	r.control = control.end().Seconds() * 1000
	return r
}

// connect gives connections that have had an answer: n of them, or fewer with the error reported.
func connect(b *testing.B, addr string, names []string, n int) (list []*client) {
	for i := range n {
		c, err := dial(addr)
		if err != nil {
			b.Error(err)
			break
		}
		list = append(list, c)
		if _, err := c.get(names[i%len(names)]); err != nil {
			b.Error(err)
			break
		}
	}
	return list
}
