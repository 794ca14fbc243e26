package crashtest_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// origin serves blobs, and notes when it was asked for each: a cache that asks does not have it.
type origin struct {
	*httptest.Server
	blobs blobs
	out   atomic.Int64     // bytes of the bodies that it began to send
	pool  sync.Pool        // of *[]byte
	hold  func(number int) // called amidst each body; nil: nothing is

	mu   sync.Mutex
	have map[blob.Hash]*record
}

// record is what is known of one blob.
type record struct {
	hash   blob.Hash
	number int
	size   int
	asked  int       // how often the cache asked for it
	filled time.Time // when it did last
	stored time.Time // when a client first had all of it after that; zero: none had yet
}

func newOrigin(t *testing.T, b blobs) *origin {
	t.Helper()
	o := &origin{blobs: b, have: map[blob.Hash]*record{}}
	o.pool.New = func() any { b := make([]byte, blob.MaxSize); return &b }
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

// offer makes the origin have a blob.
func (o *origin) offer(number int, data []byte) blob.Hash {
	h := blob.Sum(data)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.have[h] == nil {
		o.have[h] = &record{hash: h, number: number, size: len(data)}
	}
	return h
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	h, err := blob.ParseHash(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rec, ok := o.noteAsked(h)
	if !ok {
		http.NotFound(w, r)
		return
	}
	buf := o.pool.Get().(*[]byte)
	defer o.pool.Put(buf)
	data := o.blobs.bytes(rec.number, *buf)
	o.out.Add(int64(len(data)))
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if o.hold != nil {
		half := len(data) / 2
		_, _ = w.Write(data[:half])
		_ = http.NewResponseController(w).Flush()
		o.hold(rec.number)
		data = data[half:]
	}
	_, _ = w.Write(data)
}

func (o *origin) noteAsked(h blob.Hash) (record, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rec := o.have[h]
	if rec == nil {
		return record{}, false
	}
	rec.asked++
	rec.filled, rec.stored = time.Now(), time.Time{}
	return *rec, true
}

// noteServed notes that a client had all of a blob. The cache keeps a blob before it gives out its last byte.
func (o *origin) noteServed(h blob.Hash) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if rec := o.have[h]; rec != nil && rec.asked > 0 && rec.stored.IsZero() {
		rec.stored = time.Now()
	}
}

// asked is how often the cache asked for a blob.
func (o *origin) asked(h blob.Hash) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.have[h].asked
}

// newest is the blobs that the cache asked for last, as many as fit into the given number of bytes on disk.
func (o *origin) newest(limit int64) []record {
	o.mu.Lock()
	var all []record
	for _, rec := range o.have {
		if rec.asked > 0 {
			all = append(all, *rec)
		}
	}
	o.mu.Unlock()
	slices.SortFunc(all, func(a, b record) int {
		return cmp.Or(b.filled.Compare(a.filled), cmp.Compare(b.number, a.number))
	})
	for i, rec := range all {
		if limit -= int64(rec.size+4095) &^ 4095; limit < 0 {
			return all[:i]
		}
	}
	return all
}
