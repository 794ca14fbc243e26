package http3_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	nethttp "net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/http3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// origin is an HTTP/3 server on loopback that holds blobs, and that a test may bend.
type origin struct {
	t       testing.TB
	addr    string
	cert    *x509.Certificate
	tls     *tls.Config
	server  *quichttp3.Server
	socket  net.PacketConn
	ended   chan struct{}
	asked   atomic.Int64
	mu      sync.Mutex
	peers   map[string]bool // connections that it saw
	blobs   map[string][]byte
	instead nethttp.HandlerFunc

	getsOnly bool // whether only /get/ is answered by instead
}

func newOrigin(t testing.TB) *origin {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{
		t: t, blobs: map[string][]byte{}, peers: map[string]bool{},
		tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, //nolint:gosec // QUIC is TLS 1.3
	}
	if o.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	o.start("127.0.0.1:0")
	t.Cleanup(o.stop)
	return o
}

// start listens; after stop it may be called again.
func (o *origin) start(addr string) {
	o.t.Helper()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		o.t.Fatal(err)
	}
	s := &quichttp3.Server{Handler: o, TLSConfig: o.tls, QUICConfig: &quic.Config{}}
	o.socket, o.server, o.addr, o.ended = pc, s, pc.LocalAddr().String(), make(chan struct{})
	go func() {
		defer close(o.ended)
		_ = s.Serve(pc)
	}()
}

// stop closes all connections and the socket.
func (o *origin) stop() {
	_ = o.server.Close()
	<-o.ended
	_ = o.socket.Close()
}

// vanish takes the socket away, and tells nobody.
func (o *origin) vanish() { _ = o.socket.Close() }

func (o *origin) put(v blob.Verified) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blobs[v.Hash().String()] = v.Bytes()
}

// answer lets f answer every request from now on; nil goes back to the usual answers.
func (o *origin) answer(f nethttp.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.instead = f
}

func (o *origin) connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.peers)
}

func (o *origin) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	o.asked.Add(1)
	o.mu.Lock()
	instead, data := o.instead, o.blobs[path.Base(r.URL.Path)]
	o.peers[r.RemoteAddr] = true
	o.mu.Unlock()
	get := strings.HasPrefix(r.URL.Path, "/get/") && r.URL.RawQuery == "trace=true"
	has := strings.HasPrefix(r.URL.Path, "/has/") && r.URL.RawQuery == ""
	switch {
	case r.Method != nethttp.MethodGet || !get && !has:
		o.t.Errorf("asked for %s %s", r.Method, r.URL)
	case instead != nil && (get || !o.getsOnly):
		instead(w, r)
	case data == nil:
		w.WriteHeader(nethttp.StatusNotFound)
		if has {
			_, _ = w.Write([]byte(`{"lbrycrd_address":"a","is_available":false}`))
		}
	case has:
		_, _ = w.Write([]byte(`{"lbrycrd_address":"a","is_available":true}`))
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
	}
}

func open(t *testing.T, o http3.Options) *http3.Store {
	t.Helper()
	s, err := http3.New(o)
	return storetest.Opened(t, s, err)
}

// getters are the two ways to a blob's bytes: Get, and Open with Collect.
var getters = storetest.Getters[*http3.Store]()

func TestConformance(t *testing.T) {
	var o *origin
	storetest.Run(t, storetest.Config{
		Open: func(t *testing.T) stores.Store {
			o = newOrigin(t)
			s, err := http3.New(http3.Options{Name: "o", Address: o.addr})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		ReadOnly: true,
		Seed:     func(_ *testing.T, _ stores.Store, v blob.Verified, _ blob.Kind) { o.put(v) },
	})
}

// Bad input 24: whatever an origin answers in place of a blob is an error or a miss, never bytes, and a miss only where
// the origin said so. The next good answer is taken.
func TestFaults(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	// These take a TCP connection over, which there is none of here.
	tcp := map[string]bool{"no HTTP": true, "a header without end": true, "dies mid-body": true}
	faults := append(storetest.Faults(), storetest.Fault{
		Name: "reset mid-body", Answer: func(w nethttp.ResponseWriter, _ *nethttp.Request, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:len(data)/2])
			panic(nethttp.ErrAbortHandler)
		},
	})
	for how, get := range getters {
		for _, fault := range faults {
			if tcp[fault.Name] {
				continue
			}
			t.Run(how+"/"+fault.Name, func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t)
				s := open(t, http3.Options{
					Address: o.addr, HeaderTimeout: 400 * time.Millisecond, IdleTimeout: 800 * time.Millisecond, MaxBuffers: 1,
				})
				v := storetest.Blob(t, 1, 300_000)
				o.put(v)
				o.answer(fault.Handler(v))
				for range 2 {
					data, err := get(t.Context(), s, v.Hash())
					if err == nil {
						t.Fatalf("%d bytes were taken", len(data))
					}
					want := fault.Missing && fault.Name != "forbidden"
					if missing := errors.Is(err, blob.ErrNotFound); missing != want {
						t.Errorf("missing = %v, want %v: %v", missing, want, err)
					}
					if got := errors.Is(err, blob.ErrProtected); got != (fault.Name == "forbidden") {
						t.Errorf("protected = %v: %v", got, err)
					}
				}
				if n := o.asked.Load(); n != 2 {
					t.Errorf("the origin saw %d requests, want 2", n)
				}
				o.answer(nil)
				if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
					t.Errorf("afterwards: %v, or other bytes", err)
				}
			})
		}
	}
}

func TestHas(t *testing.T) {
	o := newOrigin(t)
	s := open(t, http3.Options{Address: "https://" + o.addr})
	v := storetest.Blob(t, 1, 10)
	o.put(v)
	for h, want := range map[blob.Hash]bool{v.Hash(): true, {1}: false} {
		if has, err := s.Has(t.Context(), h); has != want || err != nil {
			t.Errorf("%v, %v, want %v", has, err, want)
		}
	}
	for _, code := range []int{302, 400, 403, 500, 503} {
		o.answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(code) })
		if has, err := s.Has(t.Context(), v.Hash()); has || err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%d: %v, %v", code, has, err)
		}
	}
}

// What the origin says of its own hops comes before our hop, and nonsense is dropped.
func TestVia(t *testing.T) {
	o := newOrigin(t)
	s := open(t, http3.Options{Name: "o", Address: o.addr})
	v := storetest.Blob(t, 1, 100)
	for via, want := range map[string]string{
		`{"stacks":[{"origin_name":"s3","host_name":"a","timing":1}]}`: "s3@a http3-o@",
		"1.1 varnish": "http3-o@",
		"":            "http3-o@",
	} {
		for _, code := range []int{200, 404} {
			o.answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
				w.Header().Set("Via", via)
				w.WriteHeader(code)
				_, _ = w.Write(v.Bytes())
			})
			ctx, tr := blob.WithTrace(t.Context())
			if _, err := getters["Get"](ctx, s, v.Hash()); (err == nil) != (code == 200) {
				t.Errorf("%d: %v", code, err)
			}
			var got []string
			for _, hop := range tr.Hops() {
				got = append(got, hop.Origin+"@"+hop.Host)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%q, %d: hops %v, want %s", via, code, got, want)
			}
		}
	}
}

// All requests share a connection, many at once too.
func TestOneConnection(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	s := open(t, http3.Options{Address: o.addr})
	v := storetest.Blob(t, 1, 100_000)
	o.put(v)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 20 {
				for how, get := range getters {
					if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
						t.Errorf("%s: %v", how, err)
					}
				}
				if has, err := s.Has(t.Context(), blob.Hash{byte(i)}); has || err != nil {
					t.Errorf("%v, %v", has, err)
				}
			}
		})
	}
	wg.Wait()
	if n := o.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A server that was started again is asked over a new connection, and no request notices.
func TestRedial(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	s := open(t, http3.Options{Address: o.addr})
	v := storetest.Blob(t, 1, 100)
	o.put(v)
	for range 4 {
		if _, err := getters["Get"](t.Context(), s, v.Hash()); err != nil {
			t.Error(err)
		}
		o.stop()
		o.start(o.addr)
	}
}

// A server that says goodbye gets no new requests, and those in flight end well.
func TestGoAway(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	o.getsOnly = true
	s := open(t, http3.Options{Address: o.addr})
	v := storetest.Blob(t, 1, 300_000)
	reached, goOn := make(chan struct{}), make(chan struct{})
	o.answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(v.Bytes())))
		_, _ = w.Write(v.Bytes()[:1000])
		w.(nethttp.Flusher).Flush()
		close(reached)
		<-goOn
		_, _ = w.Write(v.Bytes()[1000:])
	})
	got := make(chan error, 1)
	go func() {
		_, err := getters["Open"](t.Context(), s, v.Hash())
		got <- err
	}()
	<-reached
	down := make(chan error, 1)
	server := o.server
	go func() { down <- server.Shutdown(t.Context()) }()
	// Nobody answers on a new connection: the socket is still the old server's. What matters is that nothing more comes
	// over the old one.
	until(t, "a request to leave the old connection", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		before := o.asked.Load()
		_, err := s.Has(ctx, v.Hash())
		return err != nil && o.asked.Load() == before
	})
	close(goOn)
	if err := <-got; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// A server that vanishes is an error in time, and not a miss; so is a port on which nobody listens.
func TestOriginThatIsGone(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 100)
	o.put(v)
	s := open(t, http3.Options{Address: o.addr, Timeout: 300 * time.Millisecond})
	check := func(what string) {
		t.Helper()
		start := time.Now()
		_, err := s.Get(t.Context(), v.Hash())
		if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: Get: %v", what, err)
		}
		if has, err := s.Has(t.Context(), v.Hash()); has || !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("%s: Has = %v, %v", what, has, err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %v", what, took)
		}
	}
	if _, err := getters["Get"](t.Context(), s, v.Hash()); err != nil {
		t.Fatal(err)
	}
	o.vanish()
	check("a server that vanished")
	check("a port that is closed")
	for range 8 {
		_, _ = s.Get(t.Context(), v.Hash())
	}
	if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, breaker.ErrOpen) || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("an origin that keeps failing: %v", err)
	}
}

// The caller's deadline ends a call, and leaves the connection to others.
func TestCallersDeadline(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	s := open(t, http3.Options{Address: o.addr})
	v := storetest.Blob(t, 1, 100)
	for _, fault := range storetest.Faults() {
		if !strings.HasPrefix(fault.Name, "hangs") {
			continue
		}
		o.answer(fault.Handler(v))
		for how, get := range getters {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if _, err := get(ctx, s, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, %s: %v", fault.Name, how, err)
			}
			cancel()
			o.answer(nil)
			o.put(v)
			if _, err := get(t.Context(), s, v.Hash()); err != nil {
				t.Errorf("%s, %s, afterwards: %v", fault.Name, how, err)
			}
			o.answer(fault.Handler(v))
		}
	}
	if n := o.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Close ends transfers that hang, and dials.
func TestCloseCutsTransfers(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := newOrigin(t)
	reached := make(chan struct{})
	o.answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Length", "100")
		w.(nethttp.Flusher).Flush()
		close(reached)
		<-r.Context().Done()
	})
	s := open(t, http3.Options{Address: o.addr})
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

	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s = open(t, http3.Options{Address: silent.LocalAddr().String(), DialTimeout: time.Minute})
	go func() {
		_, err := s.Get(t.Context(), blob.Hash{1})
		got <- err
	}()
	if _, _, err := silent.ReadFrom(make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("the dial ended with %v", err)
	}
}

// Certificates that nobody vouches for are taken, unless they are to be verified.
func TestCertificates(t *testing.T) {
	o := newOrigin(t)
	v := storetest.Blob(t, 1, 100)
	o.put(v)
	roots := x509.NewCertPool()
	roots.AddCert(o.cert)
	for name, c := range map[string]struct {
		options http3.Options
		good    bool
	}{
		"not verified": {http3.Options{}, true},
		"known":        {http3.Options{VerifyCertificate: true, Roots: roots}, true},
		"unknown":      {http3.Options{VerifyCertificate: true, Roots: x509.NewCertPool()}, false},
	} {
		c.options.Address = o.addr
		s := open(t, c.options)
		if _, err := getters["Get"](t.Context(), s, v.Hash()); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, bad := range []string{
		"", ":", "host", "host:", ":5568", "host:0", "host:70000", "host:x", "http://host:1", "https://host", "https://host:1/x",
		"https://host:1?x", "https://u:p@host:1", "host:1#", "ho st:1", "udp://host:1", "::1:5568",
	} {
		if _, err := http3.New(http3.Options{Address: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, good := range []string{"host:1", "https://host:5568", "https://host:5568/", "[::1]:5568", "10.0.0.1:65535"} {
		s, err := http3.New(http3.Options{Address: good})
		if err != nil {
			t.Errorf("%q: %v", good, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// until waits for a condition that must come true soon.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(time.Millisecond)
	}
}
