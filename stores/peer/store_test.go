package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	wire "github.com/OdyseeTeam/prism/protocol/peer"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/peer"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func open(t *testing.T, o peer.Options) *peer.Store {
	t.Helper()
	s, err := peer.New(o)
	return storetest.Opened(t, s, err)
}

// getters are the two ways to a blob's bytes: Get, and Open with Collect.
var getters = storetest.Getters[*peer.Store]()

func TestConformance(t *testing.T) {
	var o *origin
	storetest.Run(t, storetest.Config{
		Open: func(t *testing.T) stores.Store {
			o = newOrigin(t)
			s, err := peer.New(peer.Options{Name: "o", Address: o.addr})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		ReadOnly: true,
		Seed: func(_ *testing.T, _ stores.Store, v blob.Verified, _ blob.Kind) {
			o.put(v)
		},
	})
}

func TestAddressIsChecked(t *testing.T) {
	for _, bad := range []string{"", "h", ":1", "h:", "h:0", "h:65536", "h:-1", "h:x", "::1:5567", "http://h:1/"} {
		if _, err := peer.New(peer.Options{Address: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// fault is one way in which an origin fails to give a blob.
type fault struct {
	name    string
	missing bool // the answer means "not found"; all others mean an error that is not
	fails   bool // it is about the origin's health
	answer  answer
}

// hangs says whether nothing but a deadline ends what the origin does.
func (f *fault) hangs() bool { return strings.HasPrefix(f.name, "hangs") || f.name == "never answers" }

func faults(v blob.Verified) []fault {
	data, hex := v.Bytes(), v.Hash().String()
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	n := int64(len(data))
	hang := func(c net.Conn) bool {
		_, _ = io.Copy(io.Discard, c)
		return false
	}
	endless := func(c net.Conn, head string) bool {
		_, err := io.WriteString(c, head)
		for piece := bytes.Repeat([]byte("x"), 64<<10); err == nil; {
			_, err = c.Write(piece)
		}
		return false
	}
	return []fault{
		{"missing", true, false, says(`{"incoming_blob":{"error":"blob not found","blob_hash":"","length":0}}`)},
		{"missing, as a wrapped error", true, false, says(`{"incoming_blob":{"error":"s3: blob not found"}}`)},
		{"an answer that does not mention the blob", true, false, says(`{"lbrycrd_address":"x"}`)},
		{"length 0", true, false, gives(0, nil)},
		{"another error", false, true, says(`{"incoming_blob":{"error":"disk on fire"}}`)},
		{"an empty error", false, true, says(`{"incoming_blob":{"error":""}}`)},
		{"wrong bytes", false, false, gives(n, flipped)},
		{"another blob", false, false, says(`{"incoming_blob":{"blob_hash":"` + strings.Repeat("0", 96) + `","length":5}}12345`)},
		{"no hash", false, true, says(`{"incoming_blob":{"length":5}}12345`)},
		{"no length", false, true, says(`{"incoming_blob":{"blob_hash":"` + hex + `"}}`)},
		{"length -1", false, false, gives(-1, nil)},
		{"length 2 MiB and a byte", false, false, gives(blob.MaxSize+1, make([]byte, blob.MaxSize+1))},
		{"length 2^63-1", false, false, gives(1<<63-1, data)},
		{"length 2^64", false, true, says(`{"incoming_blob":{"blob_hash":"` + hex + `","length":18446744073709551616}}`)},
		{"a byte too long", false, false, gives(n+1, append(bytes.Clone(data), 0))},
		{"a byte too short, as announced", false, false, gives(n-1, data[:n-1])},
		{"short", false, true, thenCloses(gives(n, data[:n-1]))},
		{"dies mid-body", false, true, func(c net.Conn, r wire.Request) bool {
			gives(n, data[:n/2])(c, r)
			_ = c.(*net.TCPConn).SetLinger(0)
			return false
		}},
		{"closes", false, true, func(net.Conn, wire.Request) bool { return false }},
		{"closes mid-JSON", false, true, thenCloses(says(`{"incoming_blob":{`))},
		{"no JSON", false, true, says("SSH-2.0-OpenSSH_9.9\r\n")},
		{"bad JSON", false, true, says("{]")},
		{"deep JSON", false, true, says(strings.Repeat("{", 1000))},
		{"JSON of more than 64 KiB", false, true, says(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)},
		{"JSON without end", false, true, func(c net.Conn, _ wire.Request) bool { return endless(c, `{"a":"`) }},
		{"endless", false, false, func(c net.Conn, r wire.Request) bool {
			res := wire.Response{Incoming: &wire.Incoming{Hash: r.Blob, Length: n}}
			return endless(c, string(res.Append(nil)))
		}},
		{"never answers", false, true, func(c net.Conn, _ wire.Request) bool { return hang(c) }},
		{"hangs in the JSON", false, true, func(c net.Conn, r wire.Request) bool {
			says(`{"incoming_blob":{`)(c, r)
			return hang(c)
		}},
		{"hangs in the body", false, true, func(c net.Conn, r wire.Request) bool {
			gives(n, data[:n/2])(c, r)
			return hang(c)
		}},
	}
}

// Bad input 24: whatever an origin answers in place of a blob is an error or a miss, never bytes, and a miss only where it
// said so. Nothing stays behind, and the next good answer is taken.
func TestFaults(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	v := storetest.Blob(t, 1, 300_000)
	for how, get := range getters {
		for _, fault := range faults(v) {
			t.Run(how+"/"+fault.name, func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t)
				o.put(v)
				s := open(t, peer.Options{
					Address: o.addr, HeaderTimeout: 400 * time.Millisecond, IdleTimeout: 400 * time.Millisecond, MaxBuffers: 1,
				})
				o.answerWith(fault.answer)
				for range 2 {
					data, err := get(t.Context(), s, v.Hash())
					if err == nil {
						t.Fatalf("%d bytes were taken", len(data))
					}
					if missing := errors.Is(err, blob.ErrNotFound); missing != fault.missing {
						t.Errorf("missing = %v, want %v: %v", missing, fault.missing, err)
					}
					if fails := errors.Is(err, blob.ErrUnavailable); fails != fault.fails {
						t.Errorf("unavailable = %v, want %v: %v", fails, fault.fails, err)
					}
				}
				o.answerWith(nil)
				if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
					t.Errorf("afterwards: %v, or other bytes", err)
				}
			})
		}
	}
}

// A good blob with bytes after it is good; what follows is not taken for the next answer.
func TestBytesAfterTheBlob(t *testing.T) {
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 1000)
	o.answerWith(gives(1000, append(bytes.Clone(v.Bytes()), "{}{}"...)))
	s := open(t, peer.Options{Address: o.addr})
	for range 20 {
		for how, get := range getters {
			if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
				t.Fatalf("%s: %v", how, err)
			}
		}
	}
}

func TestHas(t *testing.T) {
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 1000)
	s := open(t, peer.Options{Address: o.addr, HeaderTimeout: 100 * time.Millisecond})
	f := func(name string, a answer, want, wantErr bool) {
		t.Helper()
		o.answerWith(a)
		has, err := s.Has(t.Context(), v.Hash())
		if has != want || (err != nil) != wantErr || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: Has = %v, %v", name, has, err)
		}
	}
	f("usual", nil, false, false)
	o.put(v)
	f("usual", nil, true, false)
	f("other blobs", says(`{"available_blobs":["`+strings.Repeat("0", 96)+`"]}`), false, false)
	f("nothing", says(`{}`), false, false)
	f("null", says(`{"available_blobs":null}`), false, false)
	f("no list", says(`{"available_blobs":5}`), false, true)
	f("closes", func(net.Conn, wire.Request) bool { return false }, false, true)
	f("hangs", func(c net.Conn, _ wire.Request) bool { _, _ = io.Copy(io.Discard, c); return false }, false, true)
	f("a blob that nobody asked for", gives(5, []byte("12345")), false, false)
	f("usual", nil, true, false)
	if n := o.longest.Load(); n > 512 {
		t.Errorf("a request of %d bytes", n)
	}
}

// Good answers and misses leave their connection to the next request.
func TestConnectionsAreReused(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 300_000)
	o.put(v)
	s := open(t, peer.Options{Address: o.addr})
	for range 5 {
		for how, get := range getters {
			if _, err := get(t.Context(), s, v.Hash()); err != nil {
				t.Errorf("%s: %v", how, err)
			}
			if _, err := get(t.Context(), s, blob.Hash{1}); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s of a missing blob: %v", how, err)
			}
		}
		if has, err := s.Has(t.Context(), v.Hash()); !has || err != nil {
			t.Errorf("Has = %v, %v", has, err)
		}
	}
	if st := s.Stats(); o.conns.Load() != 1 || st.Dials != 1 || st.Idle != 1 || st.BytesIn != 10*300_000 {
		t.Errorf("%d connections, %+v", o.conns.Load(), st)
	}
}

// A stream that is closed before its end takes its connection along.
func TestStreamLeftEarly(t *testing.T) {
	leaktest.FDs(t)
	o := newOrigin(t)
	v, w := storetest.Blob(t, 1, 300_000), storetest.Blob(t, 2, 1000)
	o.put(v)
	o.put(w)
	s := open(t, peer.Options{Address: o.addr})
	for range 3 {
		st, err := s.Open(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}
		if data, err := getters["Get"](t.Context(), s, w.Hash()); err != nil || !bytes.Equal(data, w.Bytes()) {
			t.Errorf("the next blob: %v", err)
		}
	}
}

// A kept connection that died is replaced, whether its end was seen before the request or after; a new one that dies is
// an error.
func TestDeadConnections(t *testing.T) {
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 1000)
	o.put(v)
	s := open(t, peer.Options{Address: o.addr})
	get := getters["Get"]
	for range 3 {
		if _, err := get(t.Context(), s, v.Hash()); err != nil {
			t.Fatal(err)
		}
		o.dropAll()
	}
	if _, err := get(t.Context(), s, v.Hash()); err != nil {
		t.Error(err)
	}

	for _, die := range []answer{
		func(net.Conn, wire.Request) bool { return false },
		func(c net.Conn, _ wire.Request) bool { _ = c.(*net.TCPConn).SetLinger(0); return false },
		thenCloses(says("garbage")),
	} {
		if _, err := get(t.Context(), s, v.Hash()); err != nil { // so that a connection is kept
			t.Fatal(err)
		}
		asked, first := o.requests.Load(), true
		o.answerWith(func(c net.Conn, r wire.Request) bool {
			if first {
				first = false
				return die(c, r)
			}
			return o.usual(c, r)
		})
		if _, err := get(t.Context(), s, v.Hash()); err != nil || o.requests.Load() != asked+2 {
			t.Errorf("after %d requests: %v", o.requests.Load()-asked, err)
		}
		o.answerWith(die)
		if _, err := get(t.Context(), s, v.Hash()); !errors.Is(err, blob.ErrUnavailable) || o.requests.Load() != asked+4 {
			t.Errorf("an origin that dies each time, after %d requests: %v", o.requests.Load()-asked, err)
		}
		o.answerWith(nil)
	}
}

// Connections are kept for a while, and not more than so many.
func TestIdleConnectionsEnd(t *testing.T) {
	leaktest.FDs(t)
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 1000)
	o.put(v)
	s := open(t, peer.Options{Address: o.addr, MaxIdleConns: 2, KeepIdle: 200 * time.Millisecond})
	var streams []*blob.Stream
	for range 5 {
		st, err := s.Open(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, st)
	}
	most := 0
	for _, st := range streams {
		if _, err := st.Collect(make([]byte, 1000), nil); err != nil {
			t.Error(err)
		}
		st.Close()
		most = max(most, s.Stats().Idle)
	}
	if most > 2 {
		t.Errorf("%d connections are kept", most)
	}
	for end := time.Now().Add(20 * time.Second); s.Stats().Idle > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("connections are kept for ever")
		}
	}
}

// Deadlines: of the caller, of the answer, of progress; each ends a call soon and says what it was.
func TestDeadlines(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	v := storetest.Blob(t, 1, 300_000)
	const soon = 100 * time.Millisecond
	hangs := 0
	for _, fault := range faults(v) {
		if !fault.hangs() {
			continue
		}
		hangs++
		for how, get := range getters {
			t.Run(fault.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t)
				o.answerWith(fault.answer)
				s := open(t, peer.Options{Address: o.addr})
				ctx, cancel := context.WithTimeout(t.Context(), soon)
				defer cancel()
				start := time.Now()
				if _, err := get(ctx, s, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("caller's deadline: %v", err)
				}
				if took := time.Since(start); took > peer.DefaultIdleTimeout/2 {
					t.Errorf("the caller's deadline took %v", took)
				}
				s = open(t, peer.Options{Address: o.addr, HeaderTimeout: soon, IdleTimeout: soon})
				start = time.Now()
				_, err := get(t.Context(), s, v.Hash())
				if !errors.Is(err, blob.ErrUnavailable) || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("origin that hangs: %v", err)
				}
				if took := time.Since(start); took > peer.DefaultIdleTimeout/2 {
					t.Errorf("the origin's deadline took %v", took)
				}
			})
		}
	}
	if hangs != 3 {
		t.Errorf("%d faults hang", hangs)
	}
}

// A slow body that moves is not cut, though it takes longer than any timeout.
func TestSlowBodyThatMoves(t *testing.T) {
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 20)
	const idle = 500 * time.Millisecond
	o.answerWith(func(c net.Conn, r wire.Request) bool {
		gives(20, nil)(c, r)
		tick := time.NewTicker(idle / 10)
		defer tick.Stop()
		for i := range 20 {
			<-tick.C
			_, _ = c.Write(v.Bytes()[i : i+1])
		}
		return true
	})
	s := open(t, peer.Options{Address: o.addr, IdleTimeout: idle, HeaderTimeout: idle})
	start := time.Now()
	if _, err := getters["Open"](t.Context(), s, v.Hash()); err != nil {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if took := time.Since(start); took < idle {
		t.Fatalf("the body took %v; the test shows nothing", took)
	}
}

// Nobody listens: an error at once, and not a miss.
func TestOriginThatIsGone(t *testing.T) {
	o := newOrigin(t)
	s := open(t, peer.Options{Address: o.addr})
	o.stop()
	if _, err := s.Get(t.Context(), blob.Hash{1}); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if has, err := s.Has(t.Context(), blob.Hash{1}); has || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("Has = %v, %v", has, err)
	}
}

// Close ends transfers that hang.
func TestCloseCutsTransfers(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	reached := make(chan struct{})
	o.answerWith(func(c net.Conn, r wire.Request) bool {
		gives(100, nil)(c, r)
		close(reached)
		_, _ = io.Copy(io.Discard, c)
		return false
	})
	s := open(t, peer.Options{Address: o.addr})
	got := make(chan error, 1)
	go func() {
		_, err := getters["Open"](t.Context(), s, blob.Hash{1})
		got <- err
	}()
	<-reached
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("the transfer ended with %v", err)
	}
}

// When all buffers are out, a Get waits as long as its context lets it, and then says that it was busy.
func TestBuffersAreBounded(t *testing.T) {
	o := newOrigin(t)
	s := open(t, peer.Options{Address: o.addr, MaxBuffers: 1})
	v, w := storetest.Blob(t, 1, 100), storetest.Blob(t, 2, 100)
	o.put(v)
	o.put(w)
	held, err := s.Get(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, w.Hash()); !errors.Is(err, blob.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get without a buffer: %v", err)
	}
	held.Release()
	if _, err := getters["Get"](t.Context(), s, w.Hash()); err != nil {
		t.Error(err)
	}
}

// An origin that keeps failing is not asked for a moment. Misses, wrong bytes and callers who leave are no failures.
func TestBreaker(t *testing.T) {
	v := storetest.Blob(t, 1, 300_000)
	for _, fault := range faults(v) {
		for how, get := range getters {
			o := newOrigin(t)
			o.answerWith(fault.answer)
			patience := 10 * time.Second
			if fault.hangs() {
				patience = 30 * time.Millisecond
			}
			s := open(t, peer.Options{Address: o.addr, HeaderTimeout: patience, IdleTimeout: patience})
			for range 10 {
				_, _ = get(t.Context(), s, v.Hash())
			}
			asked := o.requests.Load()
			_, err := s.Get(t.Context(), v.Hash())
			if got := errors.Is(err, breaker.ErrOpen); got != fault.fails || got && !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("%s, %s: %v", fault.name, how, err)
			}
			if got := o.requests.Load(); fault.fails && (asked >= 20 || got != asked) {
				t.Errorf("%s, %s: %d requests, and %d in the end", fault.name, how, asked, got)
			}
			s.Close()
			o.stop()
		}
	}
	o := newOrigin(t)
	s := open(t, peer.Options{Address: o.addr})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		o.answerWith(func(c net.Conn, _ wire.Request) bool {
			cancel()
			_, _ = io.Copy(io.Discard, c)
			return false
		})
		if _, err := s.Get(ctx, v.Hash()); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left: %v", err)
		}
	}
	o.answerWith(nil)
	if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("after callers who left: %v", err)
	}
}
