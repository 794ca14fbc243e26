package http

import (
	"context"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Options are the settings of a Store. Zero means the default.
type Options struct {
	Name         string // follows "http-" in Name; empty: the kind alone
	Endpoint     string // absolute http or https URL to which the hash is appended
	ShardingSize int    // characters of the prefix folder; 0: none

	DialTimeout   time.Duration // TCP, and TLS on top again; default 5 s
	HeaderTimeout time.Duration // from the request to the last header of the answer; default 15 s
	IdleTimeout   time.Duration // between two reads of a body that bring something; default 15 s

	// MaxIdleConns is how many connections to the origin are kept for reuse; default 64.
	MaxIdleConns int
	// MaxBuffers bounds the buffers of 2 MiB that hold blobs got by Get, and bodies of unknown length; default 64.
	MaxBuffers int
}

// The defaults of Options.
const (
	DefaultDialTimeout   = 5 * time.Second
	DefaultHeaderTimeout = 15 * time.Second
	DefaultIdleTimeout   = 15 * time.Second
	DefaultMaxIdleConns  = 64
	DefaultMaxBuffers    = 64
)

// maxHeaderBytes bounds an answer's headers.
const maxHeaderBytes = 32 << 10

// Store is the origin.
type Store struct {
	name      string
	endpoint  string
	shard     int
	idle      time.Duration
	transport *nethttp.Transport
	bufs      *bufpool.Budget
	pinned    atomic.Int64

	closed atomic.Bool
	root   context.Context // ends with Close, and every transfer with it
	stop   context.CancelFunc
}

// New makes a store. It does not speak to the origin. Errors: an endpoint that is no absolute http or https URL.
func New(o Options) (*Store, error) {
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	if o.ShardingSize < 0 || o.ShardingSize >= blob.HexSize {
		return nil, fmt.Errorf("http: sharding_size is %d, want 0 to %d", o.ShardingSize, blob.HexSize-1)
	}
	s := &Store{
		name:      stores.KindName("http", o.Name),
		endpoint:  o.Endpoint,
		shard:     o.ShardingSize,
		idle:      orDefault(o.IdleTimeout, DefaultIdleTimeout),
		transport: newTransport(o),
		bufs:      bufpool.NewBudget(blob.MaxSize, orDefault(o.MaxBuffers, DefaultMaxBuffers)),
	}
	s.root, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// orDefault is v, or def where v was not set.
func orDefault[T ~int | ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// checkEndpoint refuses what a hash cannot be appended to. Its errors do not echo the endpoint, which may hold secrets.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint + blob.Hash{}.String())
	switch {
	case err != nil:
		return errors.New("endpoint is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("endpoint must start with http:// or https://")
	case u.Hostname() == "" || strings.Contains(u.Host, blob.Hash{}.String()):
		return errors.New("endpoint needs a host and a slash or a query after it")
	case u.Fragment != "":
		return errors.New("endpoint has a fragment (#), which is never sent")
	}
	return nil
}

// newTransport makes a pool of HTTP/1.1 connections: one connection a transfer, so that a large body holds up nobody.
func newTransport(o Options) *nethttp.Transport {
	dial := orDefault(o.DialTimeout, DefaultDialTimeout)
	conns := orDefault(o.MaxIdleConns, DefaultMaxIdleConns)
	var protocols nethttp.Protocols
	protocols.SetHTTP1(true)
	return &nethttp.Transport{
		Proxy:                  nethttp.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dial, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dial,
		ResponseHeaderTimeout:  orDefault(o.HeaderTimeout, DefaultHeaderTimeout),
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		MaxIdleConns:           conns,
		MaxIdleConnsPerHost:    conns,
		IdleConnTimeout:        90 * time.Second,
		Protocols:              &protocols,
	}
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Has implements stores.Store: HEAD, where 200 is yes, and so is the 204 that /blob answers.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	t, err := s.ask(ctx, nethttp.MethodHead, h)
	if err != nil {
		return false, err
	}
	defer t.end()
	switch t.resp.StatusCode {
	case nethttp.StatusOK, nethttp.StatusNoContent:
		return true, nil
	case nethttp.StatusNotFound, nethttp.StatusForbidden:
		return false, nil
	}
	return false, t.badStatus()
}

// Open implements stores.Opener. The hops that the origin told of and our own are in the trace when Open returns: ours
// lasts until the origin answered, because what reads the stream has begun its own answer by the end of the transfer.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	st, err := s.open(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return st, err
}

func (s *Store) open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	t, err := s.fetch(ctx, h)
	if err != nil {
		return nil, err
	}
	if t.size >= 0 {
		return blob.NewStream(h, t.size, t)
	}
	b, err := s.buffer(t)
	if err != nil {
		return nil, err
	}
	return blob.NewStream(h, int64(b.Len()), b)
}

// Get implements stores.Store: the whole blob, verified, in a pooled buffer.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	start := time.Now()
	handle, err := s.get(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.name, Elapsed: time.Since(start)})
	return handle, err
}

func (s *Store) get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	t, err := s.fetch(ctx, h)
	if err != nil {
		return nil, err
	}
	defer t.end()
	buf, err := t.takeBuffer()
	if err != nil {
		return nil, err
	}
	v, err := t.collect(buf)
	if err != nil {
		s.bufs.Put(buf)
		return nil, err
	}
	body := refcount.NewBody(v.Bytes(), &s.pinned, func() { s.bufs.Put(buf) })
	defer body.Release()
	return body.Handle(), nil
}

// Put implements stores.Store: errors.ErrUnsupported.
func (s *Store) Put(ctx context.Context, _ blob.Verified, _ blob.Kind) error {
	return s.refuse(ctx, "put")
}

// Delete implements stores.Store: errors.ErrUnsupported.
func (s *Store) Delete(ctx context.Context, _ blob.Hash) error { return s.refuse(ctx, "delete") }

func (s *Store) refuse(ctx context.Context, call string) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%s: %s: an http origin is read-only: %w", s.name, call, errors.ErrUnsupported)
}

// ready is the error of a call that cannot be answered.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return s.errClosed()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

func (s *Store) errClosed() error { return fmt.Errorf("%s: closed: %w", s.name, blob.ErrUnavailable) }

// Close implements stores.Store: it cuts all transfers and drops all connections.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.stop()
	s.transport.CloseIdleConnections()
	return nil
}

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return int(s.pinned.Load()) }

// newRequest builds the request for a blob.
func (s *Store) newRequest(ctx context.Context, method string, h blob.Hash) (*nethttp.Request, error) {
	req, err := nethttp.NewRequestWithContext(ctx, method, s.endpoint+httpblob.ObjectPath(h, s.shard), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: the endpoint makes no request", s.name)
	}
	req.Header.Set("User-Agent", "prism")
	req.Header.Set("Accept-Encoding", "identity")
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	return req, nil
}

var (
	_ stores.Store  = (*Store)(nil)
	_ stores.Opener = (*Store)(nil)
	_ stores.Pinner = (*Store)(nil)
)
