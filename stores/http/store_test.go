package http_test

import (
	"bytes"
	"context"
	"errors"
	nethttp "net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/http"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func open(t *testing.T, o http.Options) *http.Store {
	t.Helper()
	s, err := http.New(o)
	return storetest.Opened(t, s, err)
}

// getters are the two ways to a blob's bytes: Get, and Open with Collect.
var getters = storetest.Getters[*http.Store]()

func TestConformance(t *testing.T) {
	var origin *storetest.Origin
	storetest.Run(t, storetest.Config{
		Open: func(t *testing.T) stores.Store {
			origin = storetest.NewOrigin(t)
			s, err := http.New(http.Options{Name: "o", Endpoint: origin.URL})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		ReadOnly: true,
		Seed: func(_ *testing.T, _ stores.Store, v blob.Verified, _ blob.Kind) {
			origin.Put(v)
		},
	})
}

// Bad input 24: whatever an origin answers in place of a blob is an error or a miss, never bytes, and a miss only where
// the origin said so. Nothing stays behind, and the next good answer is taken.
func TestFaults(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	for how, get := range getters {
		for _, fault := range storetest.Faults() {
			t.Run(how+"/"+fault.Name, func(t *testing.T) {
				t.Parallel()
				origin := storetest.NewOrigin(t)
				s := open(t, http.Options{
					Endpoint:      origin.URL,
					HeaderTimeout: 400 * time.Millisecond,
					IdleTimeout:   400 * time.Millisecond,
					MaxBuffers:    1,
				})
				v := storetest.Blob(t, 1, 300_000)
				origin.Put(v)
				origin.Answer(fault.Handler(v))
				for range 2 {
					data, err := get(t.Context(), s, v.Hash())
					if err == nil {
						t.Fatalf("%d bytes were taken", len(data))
					}
					if missing := errors.Is(err, blob.ErrNotFound); missing != fault.Missing {
						t.Errorf("missing = %v, want %v: %v", missing, fault.Missing, err)
					}
				}
				if n := origin.Gets(); n != 2 {
					t.Errorf("the origin saw %d requests, want 2", n)
				}
				origin.Answer(nil)
				if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
					t.Errorf("afterwards: %v, or other bytes", err)
				}
			})
		}
	}
}

// A body without Content-Length is read within its bounds, up to the largest blob.
func TestChunked(t *testing.T) {
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Endpoint: origin.URL, MaxBuffers: 1})
	for _, size := range []int{1, 4096, blob.MaxSize - 1, blob.MaxSize} {
		v := storetest.Blob(t, 1, size)
		origin.Answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.(nethttp.Flusher).Flush()
			_, _ = w.Write(v.Bytes())
		})
		for how, get := range getters {
			if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
				t.Errorf("%s of %d bytes: %v, or other bytes", how, size, err)
			}
		}
	}
}

func TestHas(t *testing.T) {
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Endpoint: origin.URL})
	f := func(code int, want bool, wantErr bool) {
		t.Helper()
		origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.Method != nethttp.MethodHead {
				t.Errorf("Has sent %s", r.Method)
			}
			if code == 0 {
				<-r.Context().Done()
				return
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		})
		has, err := s.Has(t.Context(), blob.Hash{1})
		if has != want || (err != nil) != wantErr || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("status %d: Has = %v, %v", code, has, err)
		}
	}
	f(200, true, false)
	f(204, true, false)
	f(404, false, false)
	f(403, false, false)
	for _, code := range []int{202, 206, 301, 302, 307, 308, 400, 401, 410, 429, 500, 502, 503} {
		f(code, false, true)
	}
	s = open(t, http.Options{Endpoint: origin.URL, HeaderTimeout: 50 * time.Millisecond})
	f(0, false, true) // hangs
	if n := origin.Gets(); n != 0 {
		t.Errorf("%d GET requests", n)
	}
}

// The endpoint is used verbatim, and says where the prefix goes.
func TestEndpoint(t *testing.T) {
	origin := storetest.NewOrigin(t)
	v := storetest.Blob(t, 1, 100)
	hex := v.Hash().String()
	f := func(suffix string, shard int, want string) {
		t.Helper()
		var got string
		var auth bool
		origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			got = r.RequestURI
			_, _, auth = r.BasicAuth()
			_, _ = w.Write(v.Bytes())
		})
		s := open(t, http.Options{Endpoint: strings.TrimSuffix(origin.URL, "/") + suffix, ShardingSize: shard})
		if _, err := getters["Get"](t.Context(), s, v.Hash()); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
		if got != want || auth {
			t.Errorf("%s, %d: asked for %s, want %s", suffix, shard, got, want)
		}
	}
	f("/", 0, "/"+hex)
	f("/", 2, "/"+hex[:2]+"/"+hex)
	f("/bucket/", 4, "/bucket/"+hex[:4]+"/"+hex)
	f("/bucket", 0, "/bucket"+hex)
	f("/blob?hash=", 0, "/blob?hash="+hex)
}

func TestEndpointIsChecked(t *testing.T) {
	for _, endpoint := range []string{
		"", "/", "localhost:80/", "ftp://host/", "http://", "http:///", "http://host", "https://host:80", "http://host/#",
		"http://host/\x00", "http://ho st/", "http://[::1/", "//host/",
	} {
		if _, err := http.New(http.Options{Endpoint: endpoint}); err == nil {
			t.Errorf("endpoint %q was taken", endpoint)
		} else if endpoint != "" && endpoint != "/" && strings.Contains(err.Error(), endpoint) {
			t.Errorf("the error echoes the endpoint: %v", err)
		}
	}
	for _, shard := range []int{-1, 96, 1000} {
		if _, err := http.New(http.Options{Endpoint: "http://host/", ShardingSize: shard}); err == nil {
			t.Errorf("sharding_size %d was taken", shard)
		}
	}
}

// Credentials in the endpoint are sent, and are in no error.
func TestSecretsOfTheEndpoint(t *testing.T) {
	origin := storetest.NewOrigin(t)
	u, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "s3cret")
	s := open(t, http.Options{Endpoint: u.String() + "?edge_token=t0ken&hash="})
	v := storetest.Blob(t, 1, 100)
	var user, password, token string
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		user, password, _ = r.BasicAuth()
		token = r.URL.Query().Get("edge_token")
		_, _ = w.Write(v.Bytes())
	})
	if _, err := getters["Get"](t.Context(), s, v.Hash()); err != nil {
		t.Fatal(err)
	}
	if user != "me" || password != "s3cret" || token != "t0ken" {
		t.Errorf("the origin saw %q, %q, %q", user, password, token)
	}
	origin.Stop()
	_, err = s.Get(t.Context(), v.Hash())
	if !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("a stopped origin: %v", err)
	}
	for _, secret := range []string{"s3cret", "t0ken"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells %q: %v", secret, err)
		}
	}
}

// What the origin says of its own hops comes before our hop, and nonsense is dropped.
func TestVia(t *testing.T) {
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Name: "o", Endpoint: origin.URL})
	v := storetest.Blob(t, 1, 100)
	f := func(via string, code int, want ...string) {
		t.Helper()
		origin.Answer(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			w.Header().Set("Via", via)
			w.WriteHeader(code)
			_, _ = w.Write(v.Bytes())
		})
		for how, get := range getters {
			ctx, tr := blob.WithTrace(t.Context())
			_, err := get(ctx, s, v.Hash())
			if (err == nil) != (code == 200) {
				t.Errorf("%s: status %d: %v", how, code, err)
			}
			var got []string
			for _, hop := range tr.Hops() {
				got = append(got, hop.Origin+"@"+hop.Host)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: Via %q, status %d: hops %v, want %v", how, via, code, got, want)
			}
		}
	}
	const good = `{"stacks":[{"origin_name":"s3","host_name":"a","timing":1},{"origin_name":"caching","host_name":"b","timing":2}]}`
	f(good, 200, "s3@a", "caching@b", "http-o@")
	f(good, 404, "s3@a", "caching@b", "http-o@")
	f("1.1 varnish", 200, "http-o@")
	f("", 500, "http-o@")
}

// The hop of a stream is there before its bytes are: whoever follows the stream has begun its own answer by then.
func TestHopOfAStream(t *testing.T) {
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Endpoint: origin.URL})
	v := storetest.Blob(t, 1, 100)
	origin.Put(v)
	ctx, tr := blob.WithTrace(t.Context())
	st, err := s.Open(ctx, v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if hops := tr.Hops(); len(hops) != 1 {
			t.Errorf("hops %v, want one", hops)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Deadlines: of the caller, of the headers, of progress; each ends a call soon and says what it was.
func TestDeadlines(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	v := storetest.Blob(t, 1, 300_000)
	hang := map[string]nethttp.HandlerFunc{}
	for _, fault := range storetest.Faults() {
		if strings.HasPrefix(fault.Name, "hangs") {
			hang[fault.Name] = fault.Handler(v)
		}
	}
	if len(hang) < 3 {
		t.Fatalf("only %d faults hang", len(hang))
	}
	const soon = 100 * time.Millisecond
	for name, handler := range hang {
		for how, get := range getters {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				origin := storetest.NewOrigin(t)
				origin.Answer(handler)

				s := open(t, http.Options{Endpoint: origin.URL})
				ctx, cancel := context.WithTimeout(t.Context(), soon)
				defer cancel()
				start := time.Now()
				if _, err := get(ctx, s, v.Hash()); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("caller's deadline: %v", err)
				}
				if took := time.Since(start); took > http.DefaultIdleTimeout/2 {
					t.Errorf("the caller's deadline took %v", took)
				}

				s = open(t, http.Options{Endpoint: origin.URL, HeaderTimeout: soon, IdleTimeout: soon})
				start = time.Now()
				_, err := get(t.Context(), s, v.Hash())
				var timeout interface{ Timeout() bool }
				if !errors.Is(err, blob.ErrUnavailable) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("origin that hangs: %v", err)
				}
				if took := time.Since(start); took > http.DefaultIdleTimeout/2 {
					t.Errorf("the origin's deadline took %v", took)
				}
			})
		}
	}
}

// A slow body that moves is not cut.
func TestSlowBodyThatMoves(t *testing.T) {
	origin := storetest.NewOrigin(t)
	v := storetest.Blob(t, 1, 20)
	const idle = 500 * time.Millisecond
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Length", "20")
		tick := time.NewTicker(idle / 10)
		defer tick.Stop()
		for i := range 20 {
			<-tick.C
			_, _ = w.Write(v.Bytes()[i : i+1])
			w.(nethttp.Flusher).Flush()
		}
	})
	s := open(t, http.Options{Endpoint: origin.URL, IdleTimeout: idle})
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
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Endpoint: origin.URL})
	origin.Stop()
	if _, err := s.Get(t.Context(), blob.Hash{1}); !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if has, err := s.Has(t.Context(), blob.Hash{1}); has || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("Has = %v, %v", has, err)
	}
}

// Good answers, misses and HEADs leave their connection to the next request.
func TestConnectionsAreReused(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Endpoint: origin.URL})
	v := storetest.Blob(t, 1, 300_000)
	var mu sync.Mutex
	peers := map[string]bool{}
	f := func(answer nethttp.HandlerFunc) {
		origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			mu.Lock()
			peers[r.RemoteAddr] = true
			mu.Unlock()
			answer(w, r)
		})
		for range 5 {
			_, _ = getters["Open"](t.Context(), s, v.Hash())
			_, _ = getters["Get"](t.Context(), s, v.Hash())
			_, _ = s.Has(t.Context(), v.Hash())
		}
	}
	f(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Length", "300000")
		_, _ = w.Write(v.Bytes())
	})
	f(nethttp.NotFound)
	if len(peers) != 1 {
		t.Errorf("%d connections, want 1", len(peers))
	}
}

// Close ends transfers that hang.
func TestCloseCutsTransfers(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	origin := storetest.NewOrigin(t)
	reached := make(chan struct{})
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Length", "100")
		w.(nethttp.Flusher).Flush()
		close(reached)
		<-r.Context().Done()
	})
	s := open(t, http.Options{Endpoint: origin.URL})
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
	origin := storetest.NewOrigin(t)
	s := open(t, http.Options{Endpoint: origin.URL, MaxBuffers: 1})
	v, w := storetest.Blob(t, 1, 100), storetest.Blob(t, 2, 100)
	origin.Put(v)
	origin.Put(w)
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

// A deadline of the store is a deadline to whoever classes errors.
func TestIdleIsADeadline(t *testing.T) {
	origin := storetest.NewOrigin(t)
	origin.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Length", "100")
		w.(nethttp.Flusher).Flush()
		<-r.Context().Done()
	})
	s := open(t, http.Options{Endpoint: origin.URL, IdleTimeout: 50 * time.Millisecond})
	if _, err := s.Get(t.Context(), blob.Hash{1}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// An origin that keeps failing is not asked for a moment. Misses, wrong bytes and callers who leave are no failures.
func TestBreaker(t *testing.T) {
	v := storetest.Blob(t, 1, 100)
	f := func(name string, opens bool, call func(s *http.Store, o *storetest.Origin)) {
		t.Helper()
		origin := storetest.NewOrigin(t)
		patience := 10 * time.Second
		if strings.HasPrefix(name, "hangs") {
			patience = 20 * time.Millisecond
		}
		s := open(t, http.Options{Endpoint: origin.URL, HeaderTimeout: patience, IdleTimeout: patience})
		for range 20 {
			call(s, origin)
		}
		asked := origin.Gets() + origin.Heads()
		_, err := s.Get(t.Context(), v.Hash())
		if got := errors.Is(err, breaker.ErrOpen); got != opens || got && !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if opens && (asked >= 20 || origin.Gets()+origin.Heads() != asked) {
			t.Errorf("%s: the origin was asked %d times", name, origin.Gets()+origin.Heads())
		}
	}
	faults := map[string]nethttp.HandlerFunc{}
	for _, fault := range storetest.Faults() {
		faults[fault.Name] = fault.Handler(v)
	}
	for name, opens := range map[string]bool{
		"missing": false, "forbidden": false, "200 with 0 bytes": false, "wrong bytes": false,
		"500": true, "hangs before its headers": true, "hangs in the body": true, "dies mid-body": true,
	} {
		if faults[name] == nil {
			t.Fatalf("no fault %q", name)
		}
		for how, get := range getters {
			f(name+", "+how, opens, func(s *http.Store, o *storetest.Origin) {
				o.Answer(faults[name])
				_, _ = get(t.Context(), s, v.Hash())
			})
		}
	}
	f("500 to Has", true, func(s *http.Store, o *storetest.Origin) {
		o.Answer(faults["500"])
		_, _ = s.Has(t.Context(), v.Hash())
	})
	f("callers who leave", false, func(s *http.Store, o *storetest.Origin) {
		ctx, cancel := context.WithCancel(t.Context())
		o.Answer(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, _ = s.Get(ctx, v.Hash())
		o.Answer(nil)
	})
	f("no failures", false, func(s *http.Store, o *storetest.Origin) {
		o.Put(v)
		if _, err := getters["Get"](t.Context(), s, v.Hash()); err != nil {
			t.Error(err)
		}
		o.Remove(v.Hash())
	})
}
