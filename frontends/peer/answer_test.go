package peerd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// The transcripts of PROTOCOLS: what deployed clients send, and the very bytes that they get.
func TestAnswers(t *testing.T) {
	here, large, gone := content(1, 1000), content(2, blob.MaxSize), content(3, 10)
	s := start(t, peerd.Options{Store: newShelf(t, here, large)})
	c := s.dial()
	f := func(request, want string, body []byte) {
		t.Helper()
		r := strings.NewReplacer("$H", hexOf(here), "$L", hexOf(large), "$G", hexOf(gone))
		json, got := c.ask(r.Replace(request))
		if want := top + r.Replace(want); json != want || !bytes.Equal(got, body) {
			t.Errorf("%s:\n got %s and %d bytes\nwant %s", request, json, len(got), want)
		}
	}
	f(`{"requested_blobs": ["$H"], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": "$H"}`,
		`["$H"],"blob_data_payment_rate":"RATE_ACCEPTED","incoming_blob":{"blob_hash":"$H","length":1000}}`, here)
	f(`{"requested_blobs": ["$L"], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": "$L"}`,
		`["$L"],"blob_data_payment_rate":"RATE_ACCEPTED","incoming_blob":{"blob_hash":"$L","length":2097152}}`, large)
	f(`{"requested_blobs": ["$G"], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": "$G"}`,
		`[],"blob_data_payment_rate":"RATE_ACCEPTED",`+missing, nil)
	f(`{"requested_blob":"$L"}`, `[],"incoming_blob":{"blob_hash":"$L","length":2097152}}`, large)
	f(`{"requested_blob":"$G"}`, `[],`+missing, nil)
	f(`{"lbrycrd_address":false,"requested_blobs":["$L","$G","$H","nonsense","$L"]}`, `["$L","$H"]}`, nil)
	f(`{"requested_blobs":["$H","$G"],"requested_blob":"$L","x":{"y":[]}}`,
		`["$H"],"incoming_blob":{"blob_hash":"$L","length":2097152}}`, large)
	f(`{"blob_data_payment_rate":-1}`, `[],"blob_data_payment_rate":"RATE_TOO_LOW"}`, nil)
	f(`{"blob_data_payment_rate":1e999}`, `[],"blob_data_payment_rate":"RATE_ACCEPTED"}`, nil)
	f(`{}`, `[]}`, nil)
	st := s.Stats()
	if st.Requests != 10 || st.Downloads != 4 || st.BytesOut != uint64(1000+3*blob.MaxSize) || st.Errors["blob_not_found"] != 2 {
		t.Errorf("counted %+v", st)
	}
}

// The JSON and the first bytes leave in one system call: as one segment, on a link that could carry all of it.
func TestOneWrite(t *testing.T) {
	for _, size := range []int{1, 4096, 30_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			data := content(uint64(size), size)
			s := start(t, peerd.Options{Store: newShelf(t, data)})
			c := s.dial()
			for n := range 3 {
				c.send(forBlob(data))
				c.wantBlob(data)
				if got := c.segments(); got != n+1 {
					t.Errorf("%d segments after %d answers", got, n+1)
				}
			}
		})
	}
}

// segments is the number of segments with data that came.
func (c *client) segments() int {
	c.t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); e != nil || err != nil {
		c.t.Fatal(e, err)
	}
	return int(info.Data_segs_in)
}

// Sizes around the limits of handles, over plain TCP and over what only looks like it.
func TestSizes(t *testing.T) {
	var blobs [][]byte
	for _, n := range []int{1, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, blob.MaxSize - 1, blob.MaxSize} {
		blobs = append(blobs, content(uint64(n), n))
	}
	store := newShelf(t, blobs...)
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"tcp":     func(l net.Listener) net.Listener { return l },
		"wrapped": func(l net.Listener) net.Listener { return opaque{l} },
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			s := startOn(t, peerd.Options{Store: store}, wrap(ln))
			c := s.dial()
			for range 2 {
				for _, b := range blobs {
					c.send(forBlob(b))
					c.wantBlob(b)
				}
			}
		})
	}
}

// opaque hides what kind of connection it accepts.
type opaque struct{ net.Listener }

func (l opaque) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

func TestIPv6(t *testing.T) {
	data := content(4, 100_000)
	for addr, hosts := range map[string][]string{"[::1]:0": {"::1"}, "[::]:0": {"::1", "127.0.0.1"}} {
		t.Run(addr, func(t *testing.T) {
			ln, err := net.Listen("tcp", addr)
			if err != nil {
				t.Skipf("no IPv6 here: %v", err)
			}
			s := startOn(t, peerd.Options{Store: newShelf(t, data)}, ln)
			_, port, err := net.SplitHostPort(s.addr)
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range hosts {
				s.addr = net.JoinHostPort(host, port)
				c := s.dial()
				c.send(forBlob(data))
				c.wantBlob(data)
			}
		})
	}
}

// gate protects some blobs.
type gate map[blob.Hash]bool

func (g gate) Check(h blob.Hash, token string) error {
	if token != "" {
		return errors.New("a token came from nowhere")
	}
	if g[h] {
		return blob.ErrProtected
	}
	return nil
}

// A protected blob is as good as missing, and the store is not asked for it.
func TestProtected(t *testing.T) {
	open, shut := content(5, 100), content(6, 100)
	store := newShelf(t, open, shut)
	s := start(t, peerd.Options{Store: store, Gate: gate{blob.Sum(shut): true}})
	c := s.dial()
	list := `{"requested_blobs":["` + hexOf(shut) + `","` + hexOf(open) + `"]`
	if json, _ := c.ask(list + "}"); json != top+`["`+hexOf(open)+`"]}` {
		t.Errorf("the list: %s", json)
	}
	if json, _ := c.ask(list + `,"requested_blob":"` + hexOf(shut) + `"}`); json != top+`["`+hexOf(open)+`"],`+missing {
		t.Errorf("the blob: %s", json)
	}
	if n := store.Gets.Load(); n != 0 {
		t.Errorf("the store was asked for %d blobs", n)
	}
	if n := s.Stats().Errors["protected_blob"]; n != 1 {
		t.Errorf("%d counted", n)
	}
	c.send(forBlob(open))
	c.wantBlob(open)
}

// withheld is a gate that answers some blobs as missing.
type withheld map[blob.Hash]bool

func (g withheld) Check(h blob.Hash, _ string) error {
	if g[h] {
		return fmt.Errorf("withheld: %w", blob.ErrNotFound)
	}
	return nil
}

// A blob that the gate answers as missing is counted as such.
func TestWithheld(t *testing.T) {
	shut := content(6, 100)
	store := newShelf(t, shut)
	s := start(t, peerd.Options{Store: store, Gate: withheld{blob.Sum(shut): true}})
	c := s.dial()
	if json, _ := c.ask(`{"requested_blobs":["` + hexOf(shut) + `"],"requested_blob":"` + hexOf(shut) + `"}`); json != top+`[],`+missing {
		t.Errorf("the answer: %s", json)
	}
	if n := s.Stats().Errors["blob_not_found"]; n != 1 || store.Gets.Load() != 0 {
		t.Errorf("%d counted, and the store was asked %d times", n, store.Gets.Load())
	}
}

// The SDK names the blob that it wants twice. The store is asked once, and the answer does not contradict itself.
func TestBlobInBothKeys(t *testing.T) {
	here, gone := content(7, 100), content(8, 100)
	store := newShelf(t, here)
	s := start(t, peerd.Options{Store: store})
	c := s.dial()
	for _, b := range [][]byte{here, gone} {
		c.ask(`{"requested_blobs":["` + hexOf(b) + `"],"requested_blob":"` + hexOf(b) + `"}`)
	}
	if store.Looks.Load() != 0 || store.Gets.Load() != 2 {
		t.Errorf("%d Has, %d Get", store.Looks.Load(), store.Gets.Load())
	}
}

// 500 hashes in one request, some of them there.
func TestManyHashes(t *testing.T) {
	store := newShelf(t)
	var want []blob.Hash
	req := peer.Request{}
	for i := range 500 {
		data := fmt.Appendf(nil, "blob %d", i)
		req.Wanted = append(req.Wanted, blob.Sum(data))
		if i%3 == 0 {
			store.add(t, data)
			want = append(want, blob.Sum(data))
		}
	}
	s := start(t, peerd.Options{Store: store})
	c := s.dial()
	message := string(req.Append(nil))
	for range 3 {
		json, _ := c.ask(message)
		res, err := peer.ParseResponse([]byte(json))
		if err != nil || !slices.Equal(res.Available, want) {
			t.Fatalf("%d available, want %d, %v", len(res.Available), len(want), err)
		}
	}
	if n := store.Looks.Load(); n != 1500 {
		t.Errorf("%d calls of Has", n)
	}
}

// How long a client waits for the answer about 500 hashes. Bar: 5 ms in the middle.
func BenchmarkManyHashes(b *testing.B) {
	store := newShelf(b)
	req := peer.Request{}
	for i := range 500 {
		data := fmt.Appendf(nil, "blob %d", i)
		store.add(b, data)
		req.Wanted = append(req.Wanted, blob.Sum(data))
	}
	s := start(b, peerd.Options{Store: store})
	c := s.dial()
	message := string(req.Append(nil))
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		c.ask(message)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// A store that cannot tell is not a store that lacks the blob: the connection is closed without an answer. What it cannot
// tell of a list is left out of it.
func TestStoreFails(t *testing.T) {
	here, broken := content(9, 100), content(10, 100)
	store := newShelf(t, here)
	s := start(t, peerd.Options{Store: store, LookupTimeout: 500 * time.Millisecond})
	for name, fail := range map[string]func(context.Context) error{
		"unavailable": func(context.Context) error { return fmt.Errorf("down: %w", blob.ErrUnavailable) },
		"corrupt":     func(context.Context) error { return blob.ErrCorrupt },
		"hangs":       func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		store.First(func(ctx context.Context, h blob.Hash) error {
			if h == blob.Sum(broken) {
				return fail(ctx)
			}
			return nil
		})
		c := s.dial()
		list := `{"requested_blobs":["` + hexOf(here) + `","` + hexOf(broken) + `"]}`
		if json, _ := c.ask(list); !strings.HasPrefix(json, top) || strings.Contains(json, hexOf(broken)) {
			t.Errorf("%s: the list is %s", name, json)
		}
		c.send(forBlob(broken))
		c.wantClose(name)
	}
	st := s.Stats()
	if st.Errors["other"] != 2 || st.Errors["hash_mismatch"] != 2 || st.Errors["deadline_exceeded"] != 2 || st.Errors["blob_not_found"] != 0 {
		t.Errorf("counted %v", st.Errors)
	}
}

// torn is a handle that breaks after some bytes.
type torn struct {
	blob.Handle
	after int64
}

func (h torn) SendTo(s blob.Sink, off, n int64) (int64, error) {
	k := int64(0)
	if h.after > 0 {
		var err error
		if k, err = h.Handle.SendTo(s, off, h.after); err != nil {
			return k, err
		}
	}
	return k, fmt.Errorf("a bad sector: %w", blob.ErrUnavailable)
}

// A blob that cannot be read after its length was sent: the connection is cut, never padded. Before that the store is
// asked once more.
func TestUnreadable(t *testing.T) {
	data := content(11, 500_000)
	store := newShelf(t, data)
	s := start(t, peerd.Options{Store: store})
	store.Wrapping(func(h blob.Handle) blob.Handle { return torn{h, 100_000} })
	c := s.dial()
	c.send(forBlob(data))
	got, err := io.ReadAll(c)
	want := top + `[],"incoming_blob":{"blob_hash":"` + hexOf(data) + `","length":500000}}` + string(data[:100_000])
	if err != nil || string(got) != want {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}

	store.Wrapping(func(h blob.Handle) blob.Handle { return torn{h, 0} })
	c = s.dial()
	c.send(forBlob(data))
	c.wantClose("a blob of which nothing can be read")

	var once sync.Once
	store.Wrapping(func(h blob.Handle) blob.Handle {
		once.Do(func() { h = torn{h, 0} })
		return h
	})
	c = s.dial()
	c.send(forBlob(data))
	c.wantBlob(data)
	until(t, "the download to be counted", func() bool { return s.Stats().Downloads == 1 })
	if n := store.Gets.Load(); n != 5 {
		t.Errorf("%d Get", n)
	}
}

// A panic ends its own connection, and gives back what it held.
func TestPanic(t *testing.T) {
	data := content(12, 1000)
	store := newShelf(t, data)
	s := start(t, peerd.Options{Store: store, MaxConcurrentRequests: 1})
	other := s.dial()
	other.send(forBlob(data))
	other.wantBlob(data)
	store.First(func(context.Context, blob.Hash) error { panic("a bug") })
	for i, request := range []string{
		forBlob(data),
		`{"requested_blobs":["` + hexOf(data) + `"]}`,
		`{"requested_blobs":["` + hexOf(data) + `","` + hexOf(nil) + `"]}`,
	} {
		c := s.dial()
		c.send(request)
		c.wantClose("a panic")
		until(t, "the panic to be counted", func() bool { return s.Stats().Panics == uint64(i+1) })
	}
	store.First(nil)
	store.Wrapping(func(h blob.Handle) blob.Handle { return bomb{h} })
	c := s.dial()
	c.send(forBlob(data))
	c.wantClose("a panic while sending")
	store.Wrapping(nil)
	other.send(forBlob(data))
	other.wantBlob(data)
}

// bomb is a handle whose bytes cannot be had.
type bomb struct{ blob.Handle }

func (bomb) SendTo(blob.Sink, int64, int64) (int64, error) { panic("another bug") }
