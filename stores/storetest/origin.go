package storetest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// Origin is an S3-like HTTP origin on loopback: GET and HEAD on any path that ends in a hash. A test may bend what it
// answers.
type Origin struct {
	URL string // with a slash at its end

	server   *httptest.Server
	gets     atomic.Int64
	heads    atomic.Int64
	running  atomic.Int64
	mu       sync.Mutex
	blobs    map[string][]byte
	override http.HandlerFunc
}

// NewOrigin starts an empty origin. It ends with the test.
func NewOrigin(t testing.TB) *Origin {
	t.Helper()
	o := &Origin{blobs: map[string][]byte{}}
	o.server = httptest.NewServer(o)
	o.URL = o.server.URL + "/"
	t.Cleanup(o.Stop)
	return o
}

// Stop drops every connection and listens no more.
func (o *Origin) Stop() {
	o.server.CloseClientConnections()
	o.server.Close()
}

// Put gives the origin a blob.
func (o *Origin) Put(v blob.Verified) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blobs[v.Hash().String()] = v.Bytes()
}

// Remove takes a blob away.
func (o *Origin) Remove(h blob.Hash) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.blobs, h.String())
}

// Answer lets f answer every request from now on; nil goes back to the usual answers.
func (o *Origin) Answer(f http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.override = f
}

// Gets is the number of GET requests so far.
func (o *Origin) Gets() int { return int(o.gets.Load()) }

// Heads is the number of HEAD requests so far.
func (o *Origin) Heads() int { return int(o.heads.Load()) }

// Running is the number of requests that are being answered.
func (o *Origin) Running() int { return int(o.running.Load()) }

// ServeHTTP implements http.Handler.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.running.Add(1)
	defer o.running.Add(-1)
	if r.Method == http.MethodHead {
		o.heads.Add(1)
	} else {
		o.gets.Add(1)
	}
	o.mu.Lock()
	override, data := o.override, o.blobs[path.Base(r.URL.Path)]
	o.mu.Unlock()
	switch {
	case override != nil:
		override(w, r)
	case data == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data) // a client that left is its own affair
	}
}

// Fault is one way in which an origin fails to give a blob.
type Fault struct {
	Name    string
	Missing bool // the answer means "not found"; all others mean an error that is not
	// Answer serves the fault in place of data.
	Answer func(w http.ResponseWriter, r *http.Request, data []byte)
}

// Handler serves the fault in place of v.
func (f Fault) Handler(v blob.Verified) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { f.Answer(w, r, v.Bytes()) }
}

// Faults are the bad answers that an origin may give. Those that hang wait until the client leaves.
func Faults() []Fault {
	return []Fault{
		{"missing", true, status(http.StatusNotFound)},
		{"forbidden", true, status(http.StatusForbidden)},
		{"200 with 0 bytes", true, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Content-Length", "0")
		}},
		{"200 with 0 bytes, chunked", true, func(w http.ResponseWriter, _ *http.Request, _ []byte) { flush(w) }},
		{"wrong bytes", false, func(w http.ResponseWriter, _ *http.Request, data []byte) { send(w, flipped(data), true) }},
		{"wrong bytes, chunked", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			send(w, flipped(data), false)
		}},
		{"short", false, func(w http.ResponseWriter, _ *http.Request, data []byte) { send(w, data[:len(data)-1], true) }},
		{"short, chunked", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			send(w, data[:len(data)/2], false)
		}},
		{"long", false, func(w http.ResponseWriter, _ *http.Request, data []byte) { send(w, longer(data, 1), true) }},
		{"long, chunked", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			send(w, longer(data, 1), false)
		}},
		{"2 MiB and a byte", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			send(w, longer(data, blob.MaxSize+1-len(data)), true)
		}},
		{"2 MiB and a byte, chunked", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			send(w, longer(data, blob.MaxSize+1-len(data)), false)
		}},
		{"endless", false, endless},
		{"a length of 2^62", false, func(w http.ResponseWriter, r *http.Request, _ []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(1<<62))
			endless(w, r, nil)
		}},
		{"dies mid-body", false, diesMidBody},
		{"gzip", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			send(w, data, true)
		}},
		{"redirect to a metadata service", false, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
			w.WriteHeader(http.StatusFound)
		}},
		{"redirect to itself", false, func(w http.ResponseWriter, r *http.Request, _ []byte) {
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		{"206", false, func(w http.ResponseWriter, _ *http.Request, data []byte) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data)
		}},
		{"500", false, status(http.StatusInternalServerError)},
		{"503", false, status(http.StatusServiceUnavailable)},
		{"no HTTP", false, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			raw(w, func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n")) })
		}},
		{"a header without end", false, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			raw(w, func(c net.Conn) {
				_, err := c.Write([]byte("HTTP/1.1 200 OK\r\nX: "))
				for err == nil {
					_, err = c.Write(make64K())
				}
			})
		}},
		{"hangs before its headers", false, func(_ http.ResponseWriter, r *http.Request, _ []byte) {
			<-r.Context().Done()
		}},
		{"hangs in the body", false, func(w http.ResponseWriter, r *http.Request, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:len(data)/2])
			flush(w)
			<-r.Context().Done()
		}},
		{"hangs in the body, chunked", false, func(w http.ResponseWriter, r *http.Request, data []byte) {
			_, _ = w.Write(data[:len(data)/2])
			flush(w)
			<-r.Context().Done()
		}},
		{"hangs before the end, chunked", false, func(w http.ResponseWriter, r *http.Request, data []byte) {
			_, _ = w.Write(data)
			flush(w)
			<-r.Context().Done()
		}},
	}
}

func status(code int) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) { http.Error(w, "no", code) }
}

// send answers 200, with or without a Content-Length.
func send(w http.ResponseWriter, data []byte, length bool) {
	if length {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	} else {
		flush(w)
	}
	_, _ = w.Write(data)
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// flipped is data with one bit changed.
func flipped(data []byte) []byte {
	out := append([]byte(nil), data...)
	out[len(out)/2] ^= 1
	return out
}

// longer is data with n more bytes.
func longer(data []byte, n int) []byte {
	return append(append([]byte(nil), data...), make([]byte, n)...)
}

func make64K() []byte {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// endless sends until the client leaves.
func endless(w http.ResponseWriter, _ *http.Request, _ []byte) {
	flush(w)
	for {
		if _, err := w.Write(make64K()); err != nil {
			return
		}
	}
}

// diesMidBody promises data, sends half of it and resets the connection.
func diesMidBody(w http.ResponseWriter, _ *http.Request, data []byte) {
	raw(w, func(c net.Conn) {
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(data)) + "\r\n\r\n"))
		_, _ = c.Write(data[:len(data)/2])
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})
}

// raw takes the connection over, and closes it afterwards.
func raw(w http.ResponseWriter, f func(net.Conn)) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	f(c)
}
