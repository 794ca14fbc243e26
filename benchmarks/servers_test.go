package benchmarks

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/process"
)

// data is a folder of random blobs of one size, and their names.
type data struct {
	dir    string
	list   string // file with the path of a blob a line
	hashes []string
	size   int
}

// bytes is the size of all blobs together.
func (d *data) bytes() int64 { return int64(d.size) * int64(len(d.hashes)) }

// cut takes the last n blobs out and returns their names. They stay in the folder.
func (d *data) cut(n int) []string {
	keep := len(d.hashes) - n
	gone := d.hashes[keep:]
	d.hashes = d.hashes[:keep]
	return gone
}

// makeData makes n blobs of size bytes; the same ones each time.
func makeData(tb testing.TB, n, size int) *data {
	tb.Helper()
	d := &data{dir: tb.TempDir(), size: size}
	r := rand.NewChaCha8([32]byte{byte(size >> 8)})
	buf := make([]byte, size)
	for range n {
		_, _ = r.Read(buf)
		name := blob.Sum(buf).String()
		if err := os.WriteFile(filepath.Join(d.dir, name), buf, 0o600); err != nil {
			tb.Fatal(err)
		}
		d.hashes = append(d.hashes, name)
	}
	d.list = filepath.Join(tb.TempDir(), "list")
	var paths strings.Builder
	for _, h := range d.hashes {
		fmt.Fprintln(&paths, filepath.Join(d.dir, h))
	}
	if err := os.WriteFile(d.list, []byte(paths.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return d
}

// server is what is measured: a process and its address.
type server struct {
	*process.Child
	addr string
	ask  asking // the protocol that it speaks
}

// startPrism starts a blobcache with an empty mount in front of an origin, and stops it with the benchmark.
func startPrism(tb testing.TB, mode, origin string) *server {
	tb.Helper()
	sharding := ""
	if mode == "sharded" {
		sharding = ", sharding_size: 2"
	}
	return startCache(tb, mode, origin, func(dir string) string {
		return fmt.Sprintf("disk: {mode: %s, mount_point: %q, max_size: 4GB%s}", mode, filepath.Join(dir, "mount"), sharding)
	})
}

// startCache starts a blobcache, given what stands under cache, with a folder of its own.
func startCache(tb testing.TB, name, origin string, cache func(dir string) string) *server {
	tb.Helper()
	bin, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	dir, addr := tb.TempDir(), port(tb)
	conf := fmt.Sprintf(`
servers:
  http: {port: %d, address: 127.0.0.1}
lists: {blocklist: {enabled: false}, protected: {enabled: false}}
store:
  caching:
    name: bench
    cache:
      %s
    origin:
      http: {endpoint: %q}
`, addr, cache(dir), origin+"/")
	if err := os.Mkdir(filepath.Join(dir, "mount"), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobcache.yaml"), []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(bin, "blobcache", "--conf-dir", dir, "--metrics-port", strconv.Itoa(port(tb)))
	return start(tb, "prism "+name, cmd, addr, "/readyz")
}

// startBare starts the server that prism is compared with.
func startBare(tb testing.TB, d *data) *server {
	tb.Helper()
	p := port(tb)
	return start(tb, "bare", asRole("bare", d.list, fmt.Sprintf("127.0.0.1:%d", p)), p, "/readyz")
}

func start(tb testing.TB, name string, cmd *exec.Cmd, port int, ready string) *server {
	tb.Helper()
	c, err := process.Start(name, filepath.Join(tb.TempDir(), "log"), cmd)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Kill)
	s := &server{c, fmt.Sprintf("127.0.0.1:%d", port), (*client).get}
	if err := c.WaitReady(tb.Context(), "http://"+s.addr+ready); err != nil {
		tb.Fatal(err)
	}
	return s
}

// startOrigin serves a folder of blobs from this process.
func startOrigin(tb testing.TB, dir string) string {
	tb.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	tb.Cleanup(s.Close)
	return s.URL
}

// extent is where a blob stands in the mapped file.
type extent struct{ off, n int }

// serveBare is the floor: net/http, the header flushed, the body written from a mapping, no store. list names the blobs.
func serveBare(list, addr string) error {
	mapped, at, err := mapBlobs(list)
	if err != nil {
		return err
	}
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/blob", func(w http.ResponseWriter, r *http.Request) {
		e, ok := at[r.URL.Query().Get("hash")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(e.n))
		if e.n >= blob.MinSinkWrite {
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write(mapped[e.off : e.off+e.n])
	})
	s := &http.Server{Addr: addr, ReadHeaderTimeout: 10 * time.Second}
	return s.ListenAndServe()
}

// mapBlobs puts the blobs of a list into one file without a name, and maps it.
func mapBlobs(list string) ([]byte, map[string]extent, error) {
	f, err := os.Open(list)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	all, err := os.CreateTemp("", "prism-bench-bare-")
	if err != nil {
		return nil, nil, err
	}
	defer all.Close()
	if err := os.Remove(all.Name()); err != nil {
		return nil, nil, err
	}
	at, end := map[string]extent{}, 0
	s := bufio.NewScanner(f)
	for s.Scan() {
		b, err := os.ReadFile(s.Text())
		if err != nil {
			return nil, nil, err
		}
		if _, err := all.WriteAt(b, int64(end)); err != nil {
			return nil, nil, err
		}
		at[filepath.Base(s.Text())] = extent{end, len(b)}
		end = (end + len(b) + 4095) &^ 4095
	}
	if err := all.Truncate(int64(end)); err != nil {
		return nil, nil, err
	}
	m, err := unix.Mmap(int(all.Fd()), 0, end, unix.PROT_READ, unix.MAP_SHARED)
	return m, at, err
}

// fetchAll is a bare client: it reads every blob of a list from an origin into a buffer, and prints the processor time
// that this took.
func fetchAll(list, origin string) error {
	b, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	buf := make([]byte, blob.MaxSize)
	before := ownCPU()
	for _, path := range strings.Fields(string(b)) {
		res, err := http.Get(origin + "/" + filepath.Base(path))
		if err != nil {
			return err
		}
		_, err = io.ReadFull(res.Body, buf[:res.ContentLength])
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
		}
		_ = res.Body.Close()
		if err != nil {
			return err
		}
	}
	fmt.Println((ownCPU() - before).Seconds())
	return nil
}

// ownCPU is the processor time of this process so far.
func ownCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
