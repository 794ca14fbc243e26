package main_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/process"
)

// origin is a server that has some blobs.
type origin struct {
	*httptest.Server
	asked atomic.Int64
	hold  chan struct{} // nil, or closed to let answers go
	blobs map[blob.Hash][]byte
}

// newOrigin makes blobs of the sizes that matter: one byte, a block and its neighbours, the largest.
func newOrigin(t *testing.T, hold chan struct{}) *origin {
	t.Helper()
	o := &origin{hold: hold, blobs: map[blob.Hash][]byte{}}
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1, 4095, 4096, 4097, 65536, 1 << 20, blob.MaxSize} {
		data := make([]byte, size)
		_, _ = random.Read(data)
		o.blobs[blob.Sum(data)] = data
	}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		if o.hold != nil {
			<-o.hold
		}
		h, err := blob.ParseHash(strings.TrimPrefix(r.URL.Path, "/"))
		data, ok := o.blobs[h]
		if err != nil || !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
	}))
	t.Cleanup(o.Close)
	return o
}

// edge is a running blobcache.
type edge struct {
	*process.Child
	url, metrics string
}

// setup is what the edges of these tests differ in.
type setup struct {
	mount  string
	disk   string   // keys of the disk, instead of the usual ones
	origin string   // more keys of the origin, after a comma
	more   string   // lines of the configuration
	prefix []string // before the command line: a shell that changes limits
}

// startEdge starts a blobcache over a mount in front of an origin and waits until it is ready.
func startEdge(t *testing.T, o *origin, s setup) *edge {
	t.Helper()
	port, metricsPort := freePorts(t)
	if s.disk == "" {
		s.disk = "max_size: 512MB, segment_size: 16MB"
	}
	dir := configure(t, fmt.Sprintf(`
servers: {http: {port: %d, address: 127.0.0.1}}
`+noLists+`
store:
  caching:
    name: edge
    cache: {disk: {name: test, mount_point: %s, %s}}
    origin: {http: {endpoint: "%s/"%s}}
%s
`, port, s.mount, s.disk, o.URL, s.origin, s.more))
	args := append(s.prefix, binary(t), "--conf-dir", dir, "blobcache", "--metrics-port", strconv.Itoa(metricsPort))
	child, err := process.Start("prism", filepath.Join(dir, "log"), exec.Command(args[0], args[1:]...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	e := &edge{Child: child, url: fmt.Sprintf("http://127.0.0.1:%d", port), metrics: fmt.Sprintf("http://127.0.0.1:%d", metricsPort)}
	if err := child.WaitReady(t.Context(), e.url+"/readyz"); err != nil {
		t.Fatal(err)
	}
	return e
}

// ask gets every blob of the origin and compares it.
func (e *edge) ask(t *testing.T, o *origin) {
	t.Helper()
	for h, want := range o.blobs {
		status, got := fetch(t, e.url+"/blob?hash="+h.String())
		if status != http.StatusOK || !bytes.Equal(got, want) {
			t.Errorf("blob %s of %d bytes: status %d, %d bytes, the same: %v", h.Short(), len(want), status, len(got), bytes.Equal(got, want))
		}
	}
}

func (e *edge) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(e.Log())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestServe fills from an origin, serves what it filled, and is warm after a restart, and after a kill.
func TestServe(t *testing.T) {
	o, mount := newOrigin(t, nil), t.TempDir()
	e := startEdge(t, o, setup{mount: mount})
	e.ask(t, o)
	if n := o.asked.Load(); n != int64(len(o.blobs)) {
		t.Errorf("the origin was asked %d times for %d blobs", n, len(o.blobs))
	}
	e.ask(t, o)
	missing := blob.Sum([]byte("nobody has this"))
	if status, _ := fetch(t, e.url+"/blob?hash="+missing.String()); status != http.StatusNotFound {
		t.Errorf("a missing blob is %d", status)
	}
	_, page := fetch(t, e.metrics+"/metrics")
	for _, want := range []string{
		fmt.Sprintf("\nreflector_http_blob_download_total %d\n", 2*len(o.blobs)),
		fmt.Sprintf("\nreflector_cache_hit_total{cache_type=\"sf_disk-test\",component=\"edge\"} %d\n", len(o.blobs)),
		"\nprism_build_info{goversion=\"go",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	ready := regexp.MustCompile(`msg=ready http=127\.0\.0\.1:\d+ metrics=\[::\]:\d+ store=caching open=\S+`)
	if log := e.log(t); !ready.MatchString(log) {
		t.Errorf("the log does not say that it is ready:\n%s", log)
	}
	if err := e.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}

	asked := o.asked.Load()
	// A key without effect is a warning.
	e = startEdge(t, o, setup{mount: mount, more: "log: {format: json, level: warn}\ndatabase: {host: x}"})
	e.ask(t, o)
	if log := e.log(t); !strings.Contains(log, `"level":"WARN"`) || strings.Contains(log, `"level":"INFO"`) {
		t.Errorf("the log is not what log: asks for:\n%s", log)
	}
	e.Kill()
	e = startEdge(t, o, setup{mount: mount})
	e.ask(t, o)
	if n := o.asked.Load(); n != asked {
		t.Errorf("after restarts the origin was asked %d times more", n-asked)
	}
	if err := e.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// TestOldCache serves a folder that an older server filled, as it is; what is broken in it comes from the origin.
func TestOldCache(t *testing.T) {
	o, mount := newOrigin(t, nil), t.TempDir()
	broken := 0
	for h, data := range o.blobs {
		dir := filepath.Join(mount, h.String()[:2])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if len(data) == 4096 || len(data) == 1 {
			data = data[:len(data)-1] // cut, and empty
			broken++
		}
		if err := os.WriteFile(filepath.Join(dir, h.String()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := startEdge(t, o, setup{mount: mount, disk: "sharding_size: 2, max_size: 512MB"})
	// Before it knows what the folder takes, a cache on a fuller disk than max_size lets fills pass through.
	waitFor(t, "the walk of the folder", func() bool { return strings.Contains(e.log(t), "the index was brought in line") })
	e.ask(t, o)
	e.ask(t, o)
	if n := o.asked.Load(); n != int64(broken) {
		t.Errorf("the origin was asked %d times, want %d; the log:\n%s", n, broken, e.log(t))
	}
	if err := e.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// TestSecondOwner: a mount that a running process has is refused, with its owner.
func TestSecondOwner(t *testing.T) {
	o, mount := newOrigin(t, nil), t.TempDir()
	e := startEdge(t, o, setup{mount: mount})
	port, metricsPort := freePorts(t)
	dir := configure(t, fmt.Sprintf(noLists+"\nservers: {http: {port: %d}}\nstore: {disk: {mount_point: %s}}\n", port, mount))
	got := prism(t, "blobcache", "--conf-dir", dir, "--metrics-port", strconv.Itoa(metricsPort))
	if got.status != 1 || !strings.Contains(got.stderr, "blobcache.yaml:3:9: store.disk: ") || !strings.Contains(got.stderr, strconv.Itoa(e.PID())) {
		t.Errorf("a second owner: %+v", got)
	}
	e.ask(t, o)
	if err := e.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls until what is true.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestDrain sends SIGTERM while a request waits for its fill: it is answered whole, new connections are not taken, and
// the exit status is 0.
func TestDrain(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			hold := make(chan struct{})
			release := sync.OnceFunc(func() { close(hold) })
			o := newOrigin(t, hold)
			t.Cleanup(release) // before the origin is closed, which waits for its answers
			e := startEdge(t, o, setup{mount: t.TempDir()})
			var asking sync.WaitGroup
			asking.Go(func() {
				for h, want := range o.blobs {
					if len(want) == blob.MaxSize {
						status, got := fetch(t, e.url+"/blob?hash="+h.String())
						if status != http.StatusOK || !bytes.Equal(got, want) {
							t.Errorf("the request in flight: status %d, %d bytes", status, len(got))
						}
					}
				}
			})
			waitFor(t, "the fill", func() bool { return o.asked.Load() == 1 })
			if err := syscall.Kill(e.PID(), signal); err != nil {
				t.Fatal(err)
			}
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			waitFor(t, "the listener to close", func() bool {
				res, err := client.Get(e.url + "/readyz")
				if err == nil {
					res.Body.Close()
				}
				return err != nil
			})
			select {
			case <-e.Done():
				t.Fatal(e.Died())
			default:
			}
			release()
			asking.Wait()
			<-e.Done()
			if err := e.Died(); !strings.Contains(err.Error(), "exit status 0") {
				t.Error(err)
			}
		})
	}
}

// TestSecondSignal ends a drain that would last.
func TestSecondSignal(t *testing.T) {
	hold := make(chan struct{})
	o := newOrigin(t, hold)
	t.Cleanup(func() { close(hold) })
	e := startEdge(t, o, setup{mount: t.TempDir(), more: "drain_timeout: 10m"})
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		for h := range o.blobs {
			if res, err := http.Get(e.url + "/blob?hash=" + h.String()); err == nil {
				res.Body.Close()
				t.Error("a request that nobody answered was answered")
			}
			return
		}
	})
	waitFor(t, "the fill", func() bool { return o.asked.Load() == 1 })
	for _, said := range []string{"a second signal ends at once", "ending at once"} {
		if err := syscall.Kill(e.PID(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		waitFor(t, said, func() bool { return strings.Contains(e.log(t), said) })
	}
	<-e.Done()
	if err := e.Died(); !strings.Contains(err.Error(), "exit status 1") {
		t.Error(err)
	}
}

// TestDrainTimeout cuts what takes too long, and says so by its exit status.
func TestDrainTimeout(t *testing.T) {
	hold := make(chan struct{})
	o := newOrigin(t, hold)
	t.Cleanup(func() { close(hold) })
	e := startEdge(t, o, setup{mount: t.TempDir(), more: "drain_timeout: 50ms"})
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		for h := range o.blobs {
			if res, err := http.Get(e.url + "/blob?hash=" + h.String()); err == nil {
				res.Body.Close()
			}
			return
		}
	})
	waitFor(t, "the fill", func() bool { return o.asked.Load() == 1 })
	if err := syscall.Kill(e.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-e.Done()
	if err := e.Died(); !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "connections cut after 50ms") {
		t.Error(err)
	}
}

// TestDrainAmidstAFill cuts an answer that follows a blob on its way from an origin which has stopped to send. The
// program ends long before the fill would.
func TestDrainAmidstAFill(t *testing.T) {
	data := make([]byte, blob.MaxSize)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	o := &origin{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(o.Close)
	e := startEdge(t, o, setup{mount: t.TempDir(), origin: ", idle_timeout: 1m", more: "drain_timeout: 50ms"})
	t.Cleanup(e.Kill) // before the origin is closed, which waits for its answers
	res, err := http.Get(e.url + "/blob?hash=" + blob.Sum(data).String())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len(data)/4)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(e.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Done():
	case <-time.After(30 * time.Second): // the fill may take a minute
		t.Fatal("the program does not end while a fill lasts")
	}
	if err := e.Died(); !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "connections cut after 50ms") {
		t.Error(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("the body ends after %d more bytes as if it were whole", n)
	}
}

// TestOpenFiles: the soft limit on open files is raised to the hard one.
func TestOpenFiles(t *testing.T) {
	e := startEdge(t, newOrigin(t, nil), setup{
		mount:  t.TempDir(),
		prefix: []string{"/bin/sh", "-c", `ulimit -Sn 64 && exec "$0" "$@"`},
	})
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", e.PID()))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`Max open files +(\d+) +(\d+)`).FindSubmatch(limits)
	if m == nil {
		t.Fatalf("no limit in %s", limits)
	}
	soft, _ := strconv.Atoi(string(m[1]))
	hard, _ := strconv.Atoi(string(m[2]))
	if soft <= 64 || soft < hard-1 { // Go's runtime, which does this, may leave one
		t.Errorf("the limit on open files is %d of %d", soft, hard)
	}
	if err := e.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}
