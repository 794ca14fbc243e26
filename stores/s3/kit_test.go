package s3_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores/s3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// options are those of a store over a new bucket.
func options(server *testbed.S3Server) s3.Options {
	return s3.Options{
		Name:      "b",
		AccessKey: server.AccessKey,
		SecretKey: server.SecretKey,
		Region:    server.Region,
		Bucket:    server.Bucket(),
		Endpoint:  server.Endpoint,
	}
}

// open makes a store that must have given everything back when the test ends.
func open(t *testing.T, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.New(o)
	return storetest.Opened(t, s, err)
}

// put stores v and demands success.
func put(t *testing.T, s *s3.Store, v blob.Verified) {
	t.Helper()
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
}

// getters are the two ways to a blob's bytes: Get, and Open with Collect.
var getters = storetest.Getters[*s3.Store]()

// plant puts any bytes under a blob's name.
func plant(t *testing.T, server *testbed.S3Server, bucket string, h blob.Hash, data []byte) {
	t.Helper()
	key := h.String()
	in := &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)}
	if _, err := server.Client.PutObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// proxy stands in front of the server and answers some requests itself. It passes the Host on, which is signed.
type proxy struct {
	URL     string
	through http.HandlerFunc
	stopped chan struct{}

	mu       sync.Mutex
	override http.HandlerFunc
	seen     []*http.Request
}

func newProxy(t *testing.T, server *testbed.S3Server) *proxy {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	through := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport: transport,
	}
	p := &proxy{through: through.ServeHTTP, stopped: make(chan struct{})}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		override := p.override
		p.seen = append(p.seen, r)
		p.mu.Unlock()
		if override != nil {
			override(w, r)
			return
		}
		p.through(w, r)
	}))
	p.URL = front.URL
	t.Cleanup(func() {
		close(p.stopped)
		front.CloseClientConnections()
		front.Close()
	})
	return p
}

// answer lets f answer every request from now on; nil lets them through. It forgets what was seen.
func (p *proxy) answer(f http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.override, p.seen = f, nil
}

// hang answers nothing and reads nothing.
func (p *proxy) hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.stopped: // a server that has not read a body does not see its client leave
	}
}

// requests are those since the last answer.
func (p *proxy) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// refusal answers as S3 does.
func refusal(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>secret words</Message></Error>"))
		}
	}
}

// eventually calls f until it is nil, for a minute.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
