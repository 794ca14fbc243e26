package benchmarks

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// The origin of BenchmarkMiss: far away, and on a thin line.
const (
	farFirstByte = 50 * time.Millisecond
	farRate      = 20_000_000 // bytes a second
	farPiece     = 20_000     // bytes at once: one millisecond's
)

// farOrigin serves a folder of blobs slowly, and notes when it sent what.
type farOrigin struct {
	dir string

	mu          sync.Mutex
	first, last map[string]time.Time // when the first piece was about to be written, and when the last one was
}

// ServeHTTP implements http.Handler.
func (o *farOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	data, err := os.ReadFile(filepath.Join(o.dir, name))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	time.Sleep(farFirstByte)
	begun := time.Now()
	for off := 0; off < len(data); off += farPiece {
		time.Sleep(time.Until(begun.Add(time.Duration(off) * time.Second / farRate)))
		if _, err := w.Write(data[off:min(off+farPiece, len(data))]); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.first[name], o.last[name] = begun, time.Now()
}

// sent is when a blob was sent, once it was.
func (o *farOrigin) sent(name string) (first, last time.Time) {
	for {
		o.mu.Lock()
		first, last = o.first[name], o.last[name]
		o.mu.Unlock()
		if !last.IsZero() {
			return first, last
		}
		runtime.Gosched() // the client may have all before the origin has noted that it is done
	}
}

// BenchmarkMiss measures how long after the origin a client of a miss is served: full blobs, one at a time, from an
// origin with 50 ms to its first byte and 20 MB/s. Bars: the first byte 5 ms after the origin's, all bytes 10 ms after
// its last, both for the slowest of ten.
func BenchmarkMiss(b *testing.B) {
	d := makeData(b, 100, blob.MaxSize)
	o := &farOrigin{dir: d.dir, first: map[string]time.Time{}, last: map[string]time.Time{}}
	origin := httptest.NewServer(o)
	b.Cleanup(origin.Close)
	s := startPrism(b, "segments", origin.URL)
	var first, last []float64
	buf := make([]byte, blob.MaxSize)
	n := 0
	for b.Loop() {
		for range 10 {
			name := d.hashes[n%len(d.hashes)]
			if n++; n > len(d.hashes) {
				b.Fatalf("only %d turns of ten blobs can be misses: -benchtime=%dx", len(d.hashes)/10, len(d.hashes)/10)
			}
			res, err := http.Get("http://" + s.addr + "/blob?hash=" + name)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, buf[:1]); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			if _, err := io.ReadFull(res.Body, buf[1:]); err != nil {
				b.Fatal(err)
			}
			ended := time.Now()
			_ = res.Body.Close()
			if blob.Sum(buf).String() != name {
				b.Fatal("other bytes")
			}
			from, to := o.sent(name)
			first = append(first, began.Sub(from).Seconds()*1000)
			last = append(last, ended.Sub(to).Seconds()*1000)
		}
	}
	p90 := func(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)*9/10] }
	report(b, "first-byte-ms", median(first), bar{})
	report(b, "first-byte-p90-ms", p90(first), atMost(5))
	report(b, "all-bytes-ms", median(last), bar{})
	report(b, "all-bytes-p90-ms", p90(last), atMost(10))
}
