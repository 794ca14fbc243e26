package benchmarks

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/process"
)

// scaleServer is a blobcache on a mount that exists.
type scaleServer struct {
	watched
	addr, metrics string
	began         time.Time
	listening     time.Duration // from the start of the process to its first answer, give or take 10 ms
}

// startOn starts the program and waits until it answers.
func startOn(b *testing.B, m bigMount, origin string) *scaleServer {
	b.Helper()
	bin, err := built()
	if err != nil {
		b.Fatal(err)
	}
	dir, p, metrics := b.TempDir(), port(b), port(b)
	limit := ""
	if *scaleMax > 0 {
		limit = fmt.Sprintf(", max_size: %d", *scaleMax)
	}
	conf := fmt.Sprintf(`
servers: {http: {port: %d, address: 127.0.0.1}}
lists: {blocklist: {enabled: false}, protected: {enabled: false}}
store:
  caching:
    name: bench
    cache: {disk: {mode: segments, mount_point: %q%s}}
    origin: {http: {endpoint: %q}}
`, p, m.dir, limit, origin+"/")
	if err := os.WriteFile(filepath.Join(dir, "blobcache.yaml"), []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	if *scaleCold {
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
			b.Fatal("-scale-cold: ", err)
		}
	}
	s := &scaleServer{
		addr: fmt.Sprintf("127.0.0.1:%d", p), metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics), began: time.Now(),
	}
	s.Child, err = process.Start("prism", filepath.Join(dir, "log"), exec.Command(bin, "blobcache", "--conf-dir", dir, "--metrics-port", strconv.Itoa(metrics)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Kill)
	if err := s.WaitReady(b.Context(), "http://"+s.addr+"/readyz"); err != nil {
		b.Fatal(err)
	}
	s.listening = time.Since(s.began)
	return s
}

// stop ends the program as an operator would.
func (s *scaleServer) stop(b *testing.B) {
	b.Helper()
	if err := s.Stop(time.Minute); err != nil {
		b.Fatal(err)
	}
}

// awaitRecovered waits until nothing of the last run is left over, and says how long after the start that was.
func (s *scaleServer) awaitRecovered(b *testing.B) time.Duration {
	b.Helper()
	for deadline := time.Now().Add(time.Hour); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if s.series(b, `prism_disk_condition{condition="recovering"`) == 0 {
			return time.Since(s.began)
		}
	}
	b.Fatal("an hour after its start it still recovers")
	return 0
}

// series is the value of the one series whose name begins so.
func (s *scaleServer) series(b *testing.B, prefix string) float64 {
	b.Helper()
	res, err := http.Get(s.metrics)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return lastNumber(b, lines.Text())
		}
	}
	b.Fatalf("no series %s…", prefix)
	return 0
}

// lastNumber is the last word of a line, or the one before " kB".
func lastNumber(b *testing.B, line string) float64 {
	b.Helper()
	words := strings.Fields(strings.TrimSuffix(line, " kB"))
	v, err := strconv.ParseFloat(words[len(words)-1], 64)
	if err != nil {
		b.Fatalf("%q: %v", line, err)
	}
	return v
}

// watched is a process whose counters in the kernel are read.
type watched struct{ *process.Child }

// proc is a number from a file of the process in /proc.
func (s watched) proc(b *testing.B, file, field string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.PID(), file))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, field+":") {
			return lastNumber(b, strings.TrimSpace(line))
		}
	}
	b.Fatalf("no %s in %s", field, file)
	return 0
}

// anon is the anonymous memory of the process in MiB: mapped segments do not count.
func (s watched) anon(b *testing.B) float64 {
	b.Helper()
	return s.proc(b, "status", "RssAnon") / 1024
}

// io is what the kernel counted for the process: rchar (bytes that calls read) or read_bytes (that came from a device).
func (s watched) io(b *testing.B, field string) float64 {
	b.Helper()
	return s.proc(b, "io", field)
}

// peak is the most anonymous memory while do runs, in MiB, looked at every 20 ms.
func (s watched) peak(b *testing.B, do func()) float64 {
	b.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		do()
	}()
	most := s.anon(b)
	for {
		select {
		case <-ended:
			return max(most, s.anon(b))
		case <-time.After(20 * time.Millisecond):
			most = max(most, s.anon(b))
		}
	}
}

// scaleLoad is a load of hits on the blobs of a mount, at random, and of fills of new ones.
type scaleLoad struct {
	m      bigMount
	origin string

	mu    sync.Mutex
	rng   *rand.ChaCha8
	fresh map[string][]byte // what the origin has yet to give, by name
}

// scaleConns is how many clients ask at once.
const scaleConns = 8

func newScaleLoad(b *testing.B, m bigMount) *scaleLoad {
	b.Helper()
	seed := [32]byte{}
	copy(seed[:], strconv.FormatInt(time.Now().UnixNano(), 10)) // a kept mount has what an earlier run filled
	w := &scaleLoad{m: m, rng: rand.NewChaCha8(seed), fresh: map[string][]byte{}}
	s := httptest.NewServer(w)
	b.Cleanup(s.Close)
	w.origin = s.URL
	return w
}

// ServeHTTP is the origin: it gives each blob once.
func (w *scaleLoad) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	w.mu.Lock()
	body, ok := w.fresh[name]
	delete(w.fresh, name)
	w.mu.Unlock()
	if !ok {
		http.NotFound(out, r)
		return
	}
	_, _ = out.Write(body)
}

// next is the name to ask for: three in four are in the mount.
func (w *scaleLoad) next() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.rng.Uint64()
	if n%4 != 0 {
		first := 0
		if *scaleMax > 0 {
			first = w.m.blobs / 2 // the older ones may be evicted
		}
		return w.m.hash(first + int(n/4%uint64(w.m.blobs-first))).String()
	}
	body := make([]byte, w.m.size)
	_, _ = w.rng.Read(body)
	name := blob.Sum(body).String()
	w.fresh[name] = body
	return name
}

// run asks for n blobs; each must be answered.
func (w *scaleLoad) run(b *testing.B, s *scaleServer, n int) {
	b.Helper()
	var asked atomic.Int64
	err := w.ask(s, func() bool { return asked.Add(1) <= int64(n) })
	if err != nil {
		b.Error(err)
	}
}

// runUntilKilled kills the program amidst the load, once half of the requests of the mixed load are answered.
func (w *scaleLoad) runUntilKilled(b *testing.B, s *scaleServer) {
	b.Helper()
	var asked atomic.Int64
	var once sync.Once
	err := w.ask(s, func() bool {
		if asked.Add(1) > int64(*scaleRequests/2) {
			once.Do(s.Kill)
			return false
		}
		return true
	})
	once.Do(func() { b.Fatal(err) }) // the clients ended before
}

// ask runs the clients until more says no, and returns the first error.
func (w *scaleLoad) ask(s *scaleServer, more func() bool) error {
	var clients sync.WaitGroup
	var failed atomic.Pointer[error]
	for range scaleConns {
		clients.Go(func() {
			c, err := dial(s.addr)
			for err == nil && more() {
				name := w.next()
				if _, err = c.get(name); err != nil {
					err = fmt.Errorf("get %s: %w", name, err)
				}
			}
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			if c != nil {
				_ = c.Close()
			}
		})
	}
	clients.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
