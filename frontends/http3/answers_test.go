package http3d_test

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// Every path of HTTP/1.1, and what it says over HTTP/3. BAD-INPUTS 25 and what of 1 to 10 a path can hold.
func TestPaths(t *testing.T) {
	here := content(1, 100_000)
	h, missing := blob.Sum(here).String(), blob.Sum([]byte("missing")).String()
	store := newShelf(here)
	s := start(t, options(store))
	c := s.client(nil)
	for _, q := range []struct {
		method, path string
		status       int
		stored       bool // the store is asked
	}{
		{"GET", "/blob?hash=" + h, 200, true},
		{"GET", "/" + h, 200, true},
		{"GET", "/" + h[:3] + "/" + h, 200, true},
		{"GET", "/get/" + h, 200, true},
		{"HEAD", "/blob?hash=" + h, 204, true},
		{"HEAD", "/" + h, 200, true},
		{"HEAD", "/get/" + h, 200, true},
		{"GET", "/has/" + h, 200, true},
		{"GET", "/has/" + missing, 404, true},
		{"GET", "/blob?hash=" + missing, 404, true},
		{"HEAD", "/blob?hash=" + missing, 404, true},
		{"GET", "/get/" + missing, 404, true},
		{"GET", "/" + missing, 404, true},
		{"GET", "/healthz", 200, false},
		{"GET", "/readyz", 200, false},
		{"GET", "/favicon.ico", 404, false},
		{"GET", "/get/abc", 400, false},
		{"GET", "/get/", 400, false},
		{"GET", "/has/abc", 400, false},
		{"GET", "/get/" + h[1:], 400, false},
		{"GET", "/get/" + h + "0", 400, false},
		{"GET", "/get/" + strings.ToUpper(h), 400, false},
		{"GET", "/get/" + h[1:] + "%00", 400, false},
		{"GET", "/get/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 400, false},
		{"GET", "/blob?hash=../../../etc/passwd", 400, false},
		{"GET", "/blob?hash=" + h + "&hash=" + h, 400, false},
		{"GET", "/blob", 400, false},
		{"PUT", "/get/" + h, 405, false},
		{"POST", "/blob?hash=" + h, 405, false},
		{"DELETE", "/" + h, 405, false},
	} {
		before := store.Calls()
		a := s.must(c, q.method, q.path)
		if a.status != q.status || (store.Calls() > before) != q.stored {
			t.Errorf("%s %s: %d, want %d; the store was asked: %v", q.method, q.path, a.status, q.status,
				store.Calls() > before)
		}
		if q.method == "GET" && a.status == 200 && q.stored && !strings.HasPrefix(q.path, "/has/") {
			if !bytes.Equal(a.body, here) || a.header.Get("Content-Length") != strconv.Itoa(len(here)) ||
				a.header.Get("Content-Type") != "application/octet-stream" || a.header.Get("Etag") != `"`+h+`"` ||
				a.header.Get("Content-Disposition") != "filename="+h {
				t.Errorf("%s: other bytes, or header %v", q.path, a.header)
			}
		}
		if a.header.Get("Connection") != "" || a.header.Get("Via") != "" {
			t.Errorf("%s %s: header %v", q.method, q.path, a.header)
		}
	}
	if st := s.Stats(); st.Downloads != 4 || st.BytesOut != 4*uint64(len(here)) || st.Connections != 1 {
		t.Errorf("%d downloads, %d bytes, %d connections", st.Downloads, st.BytesOut, st.Connections)
	}
}

func TestHasBody(t *testing.T) {
	here := content(1, 10)
	s := start(t, options(newShelf(here)))
	c := s.client(nil)
	for h, want := range map[blob.Hash]string{blob.Sum(here): "true", blob.Sum(nil): "false"} {
		got := string(s.must(c, "GET", "/has/"+h.String()).body)
		if got != `{"lbrycrd_address":"bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct","is_available":`+want+`}` {
			t.Errorf("%s", got)
		}
	}
}

// Via is there only for whoever asks for a trace, on a miss too.
func TestVia(t *testing.T) {
	here := content(1, 10)
	s := start(t, options(newShelf(here)))
	c := s.client(nil)
	const via = `{"stacks":[{"origin_name":"mem-shelf","host_name":"edge1","timing":81000}]}`
	h, missing := blob.Sum(here).String(), blob.Sum(nil).String()
	for path, want := range map[string]string{
		"/get/" + h:                              "",
		"/get/" + h + "?trace=true":              via,
		"/get/" + h + "?trace=1":                 via,
		"/get/" + h + "?trace=false":             "",
		"/get/" + h + "?trace=yes":               "",
		"/get/" + missing:                        "",
		"/get/" + missing + "?trace=true":        via,
		"/blob?hash=" + h:                        "",
		"/blob?hash=" + h + "&trace=true":        via,
		"/blob?trace=true&hash=" + missing:       via,
		"/" + h:                                  "",
		"/" + h + "?trace=true":                  via,
		"/has/" + h + "?trace=true":              "",
		"/get/" + h + "?trace=false&edge_token=": "",
	} {
		if got := s.must(c, "GET", path).header.Get("Via"); got != want {
			t.Errorf("%s: Via %q, want %q", path, got, want)
		}
	}
}

// A protected blob is not served at all; that it exists is told.
func TestProtected(t *testing.T) {
	here := content(1, 10)
	store := newShelf(here)
	o := options(store)
	o.Gate = &httpd.TokenGate{Protected: func(blob.Hash) bool { return true }, Token: "s3cret"}
	s := start(t, o)
	c := s.client(nil)
	h := blob.Sum(here).String()
	for _, query := range []string{"", "edge_token=s3cret", "edge_token=wrong", "edge_token=", "trace=true&edge_token=s3cret"} {
		for _, path := range []string{"/get/" + h + "?", "/blob?hash=" + h + "&", "/" + h + "?", "/" + h[:1] + "/" + h + "?"} {
			a := s.must(c, "GET", path+query)
			if a.status != 403 || string(a.body) != "requested blob is protected" {
				t.Errorf("%s%s: %d %q", path, query, a.status, a.body)
			}
		}
	}
	if n := store.Calls(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	if a := s.must(c, "HEAD", "/get/"+h); a.status != 403 {
		t.Errorf("HEAD /get: %d", a.status)
	}
	if a := s.must(c, "HEAD", "/blob?hash="+h); a.status != 204 {
		t.Errorf("HEAD /blob: %d", a.status)
	}
	if a := s.must(c, "GET", "/has/"+h); a.status != 200 {
		t.Errorf("/has: %d", a.status)
	}
}

func TestRangesAndConditions(t *testing.T) {
	here := content(1, 300_000)
	s := start(t, options(newShelf(here)))
	c := s.client(nil)
	path := "/get/" + blob.Sum(here).String()
	f := func(status int, want []byte, header ...string) {
		t.Helper()
		if a := s.must(c, "GET", path, header...); a.status != status || want != nil && !bytes.Equal(a.body, want) {
			t.Errorf("%v: %d, %d bytes", header, a.status, len(a.body))
		}
	}
	f(206, here[1000:200_001], "Range", "bytes=1000-200000")
	f(206, here[len(here)-1:], "Range", "bytes=-1")
	f(416, nil, "Range", "bytes=300000-")
	f(200, here, "Range", "bytes=0-1,3-4")
	f(304, []byte{}, "If-None-Match", `"`+blob.Sum(here).String()+`"`)
	f(412, nil, "If-Match", `"x"`)
}

// Ten thousand streams of one connection.
func TestManyStreams(t *testing.T) {
	small, large := content(1, 1000), content(2, 100_000)
	store := newShelf(small, large)
	s := start(t, options(store))
	c := s.client(nil)
	var next, bad atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > 10_000 {
					return
				}
				want := small
				if n%50 == 0 {
					want = large
				}
				a, err := s.ask(c, http.MethodGet, "/get/"+blob.Sum(want).String())
				if err != nil || a.status != 200 || !bytes.Equal(a.body, want) {
					if bad.Add(1) == 1 {
						t.Errorf("request %d: %d, %v", n, a.status, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); bad.Load() != 0 || st.Downloads != 10_000 || st.Refused != 0 {
		t.Errorf("%d bad, %d downloads, %d refused", bad.Load(), st.Downloads, st.Refused)
	}
}

// TestSendsAtOnce: packets do not go by net, which refuses all of them when the deadline of its socket is over.
func TestSendsAtOnce(t *testing.T) {
	data := content(1, 1<<20)
	s := startOn(t, options(newShelf(data)), func(pc net.PacketConn) net.PacketConn {
		if err := pc.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		return pc
	})
	if a := s.must(s.client(nil), http.MethodGet, "/blob?hash="+blob.Sum(data).String()); a.status != http.StatusOK || !bytes.Equal(a.body, data) {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
}
