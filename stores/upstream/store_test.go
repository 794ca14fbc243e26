package upstream_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/storetest"
	"github.com/OdyseeTeam/prism/stores/upstream"
)

func open(t *testing.T, o upstream.Options) *upstream.Store {
	t.Helper()
	s, err := upstream.New(o)
	return storetest.Opened(t, s, err)
}

// getters are the two ways to a blob's bytes: Get, and Open with Collect.
var getters = storetest.Getters[*upstream.Store]()

// prism is an origin that answers /blob as a Prism does: HEAD by existence, and GET of protected blobs to a token.
type prism struct {
	*storetest.Origin
	blobs sync.Map // from the hash as text to the bytes
	token string   // what opens the blobs; empty: they are open
	has   int      // the status of HEAD for what is there
}

func newPrism(t *testing.T, blobs ...blob.Verified) *prism {
	p := &prism{Origin: storetest.NewOrigin(t), has: http.StatusNoContent}
	for _, v := range blobs {
		p.put(v)
	}
	p.Answer(p.serve)
	return p
}

func (p *prism) put(v blob.Verified) { p.blobs.Store(v.Hash().String(), v.Bytes()) }

func (p *prism) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	data, ok := p.blobs.Load(q.Get("hash"))
	switch {
	case r.URL.Path != "/blob":
		w.WriteHeader(http.StatusTeapot)
	case !ok:
		w.Header().Set("Via", `{"stacks":[{"origin_name":"s3","host_name":"a","timing":1}]}`)
		http.NotFound(w, r)
	case r.Method == http.MethodHead:
		w.WriteHeader(p.has)
	case p.token != "" && q.Get("edge_token") != p.token:
		http.Error(w, "requested blob is protected", http.StatusForbidden)
	default:
		w.Header().Set("Via", `{"stacks":[{"origin_name":"disk","host_name":"a","timing":1}]}`)
		_, _ = w.Write(data.([]byte))
	}
}

func TestConformance(t *testing.T) {
	var p *prism
	storetest.Run(t, storetest.Config{
		Open: func(t *testing.T) stores.Store {
			p = newPrism(t)
			s, err := upstream.New(upstream.Options{Name: "o", Upstream: p.URL})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		ReadOnly: true,
		Seed: func(_ *testing.T, _ stores.Store, v blob.Verified, _ blob.Kind) {
			p.put(v)
		},
	})
}

// Bad input 24.
func TestFaults(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	for how, get := range getters {
		for _, fault := range storetest.Faults() {
			t.Run(how+"/"+fault.Name, func(t *testing.T) {
				t.Parallel()
				v := storetest.Blob(t, 1, 300_000)
				p := newPrism(t, v)
				s := open(t, upstream.Options{
					Upstream: p.URL, HeaderTimeout: 400 * time.Millisecond, IdleTimeout: 400 * time.Millisecond, MaxBuffers: 1,
				})
				p.Answer(fault.Handler(v))
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
				p.Answer(p.serve)
				if data, err := get(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(data, v.Bytes()) {
					t.Errorf("afterwards: %v, or other bytes", err)
				}
			})
		}
	}
}

// HEAD says whether a blob is there: 204, or 200 from others; protected or not.
func TestHas(t *testing.T) {
	v := storetest.Blob(t, 1, 100)
	p := newPrism(t, v)
	p.token = "t"
	s := open(t, upstream.Options{Upstream: p.URL})
	for _, code := range []int{204, 200} {
		p.has = code
		if has, err := s.Has(t.Context(), v.Hash()); !has || err != nil {
			t.Errorf("%d: %v, %v", code, has, err)
		}
	}
	if has, err := s.Has(t.Context(), blob.Hash{1}); has || err != nil {
		t.Errorf("missing: %v, %v", has, err)
	}
	for _, code := range []int{403, 302, 400, 500, 503} {
		p.has = code
		if has, err := s.Has(t.Context(), v.Hash()); has || err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%d: %v, %v", code, has, err)
		}
	}
}

// The token opens what is protected, and is told to nobody but the other server.
func TestToken(t *testing.T) {
	v := storetest.Blob(t, 1, 100)
	p := newPrism(t, v)
	p.token = "s3cret&hash=+ü"
	for token, opens := range map[string]bool{p.token: true, "wr0ng": false, "": false} {
		s := open(t, upstream.Options{Upstream: p.URL, EdgeToken: token})
		for how, get := range getters {
			data, err := get(t.Context(), s, v.Hash())
			if opens && (err != nil || !bytes.Equal(data, v.Bytes())) {
				t.Errorf("%s with the token: %v", how, err)
			}
			if !opens && (!errors.Is(err, blob.ErrProtected) || errors.Is(err, blob.ErrNotFound)) {
				t.Errorf("%s with %q: %v", how, token, err)
			}
			if err != nil && token != "" && strings.Contains(err.Error(), token) {
				t.Errorf("the error tells the token: %v", err)
			}
		}
	}
	s := open(t, upstream.Options{Upstream: p.URL, EdgeToken: "s3cret"})
	p.Stop()
	_, err := s.Get(t.Context(), v.Hash())
	if !errors.Is(err, blob.ErrUnavailable) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a stopped server: %v", err)
	}
}

// The hops of the other server come before ours, on a miss too.
func TestVia(t *testing.T) {
	v := storetest.Blob(t, 1, 100)
	p := newPrism(t, v)
	s := open(t, upstream.Options{Name: "o", Upstream: p.URL})
	for h, want := range map[blob.Hash]string{v.Hash(): "disk@a upstream-o@", {1}: "s3@a upstream-o@"} {
		ctx, tr := blob.WithTrace(t.Context())
		_, _ = getters["Get"](ctx, s, h)
		var got []string
		for _, hop := range tr.Hops() {
			got = append(got, hop.Origin+"@"+hop.Host)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("hops %v, want %s", got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, bad := range []string{
		"", "/", "host:5569", "ftp://host", "http://", "http:///", "http://host/?a", "http://host/?", "http://host/#",
		"http://host/#x", "http://ho st", "http://h/\x00", "//host",
	} {
		if _, err := upstream.New(upstream.Options{Upstream: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	v := storetest.Blob(t, 1, 100)
	o := storetest.NewOrigin(t)
	for suffix, want := range map[string]string{"": "/blob", "/": "/blob", "/a/b/": "/a/b/blob"} {
		var got string
		o.Answer(func(w http.ResponseWriter, r *http.Request) {
			got = r.URL.Path
			_, _ = w.Write(v.Bytes())
		})
		s := open(t, upstream.Options{Upstream: strings.TrimSuffix(o.URL, "/") + suffix})
		if _, err := getters["Get"](t.Context(), s, v.Hash()); err != nil || got != want {
			t.Errorf("%q: asked for %s, want %s: %v", suffix, got, want, err)
		}
	}
}
