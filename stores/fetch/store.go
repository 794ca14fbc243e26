package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Origin is what a kind of origin has of its own. Zero durations and bounds mean the defaults.
type Origin struct {
	Kind string // in errors
	Name string // of the store

	// Transport sends requests, and bounds how long the header of an answer may take. Its errors may be shown: no secret
	// of a URL is in them.
	Transport http.RoundTripper
	// Get and Has make the method and the URL of a request. A URL may hold secrets; it is not shown.
	Get, Has Call
	// Forbidden is what 403 means: blob.ErrNotFound or blob.ErrProtected.
	Forbidden error
	// Close ends the transport.
	Close func() error

	IdleTimeout time.Duration // between two reads of a body that bring something; default 15 s
	MaxBuffers  int           // of 2 MiB, for blobs got by Get and bodies of unknown length; default 64
}

// Call makes the request for a blob.
type Call func(h blob.Hash) (method, url string)

// The defaults of origins.
const (
	DefaultDialTimeout   = 5 * time.Second
	DefaultHeaderTimeout = 15 * time.Second
	DefaultIdleTimeout   = 15 * time.Second
	DefaultMaxBuffers    = 64
)

// MaxHeaderBytes is what transports should bound an answer's headers to.
const MaxHeaderBytes = 32 << 10

// Store reads blobs from an origin.
type Store struct {
	origin  Origin
	bufs    *bufpool.Budget
	lanes   *blob.Lanes // that Gets are hashed on
	breaker *breaker.Breaker
	pinned  atomic.Int64
	bytesIn atomic.Uint64

	closed atomic.Bool
	root   context.Context // ends with Close, and every transfer with it
	stop   context.CancelFunc
}

// New makes a store. It does not speak to the origin.
func New(o Origin) *Store {
	o.IdleTimeout = stores.OrDefault(o.IdleTimeout, DefaultIdleTimeout)
	s := &Store{
		origin:  o,
		bufs:    bufpool.NewBudget(blob.MaxSize, stores.OrDefault(o.MaxBuffers, DefaultMaxBuffers)),
		lanes:   blob.NewLanes(),
		breaker: breaker.New(breaker.Options{Name: o.Name, IsFailure: stores.OriginFailed}),
	}
	s.root, s.stop = context.WithCancel(context.Background())
	return s
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.origin.Name }

// Has implements stores.Store: 200 and 204 are yes, 404 is no, and so is 403 where it means that.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	t, err := s.ask(ctx, s.origin.Has, h)
	if err != nil {
		return false, err
	}
	defer t.end()
	switch code := t.resp.StatusCode; {
	case code == http.StatusOK, code == http.StatusNoContent:
		t.drain()
		return true, nil
	case code == http.StatusNotFound, code == http.StatusForbidden && errors.Is(s.origin.Forbidden, blob.ErrNotFound):
		t.drain()
		return false, nil
	case code == http.StatusForbidden:
		return false, t.errorf("%w", s.origin.Forbidden)
	}
	return false, t.badStatus()
}

// Open implements stores.Opener. The hops that the origin told of and our own are in the trace when Open returns: ours
// lasts until the origin answered, because what reads the stream has begun its own answer by the end of the transfer.
func (s *Store) Open(ctx context.Context, h blob.Hash) (*blob.Stream, error) {
	start := time.Now()
	st, err := s.open(ctx, h)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.origin.Name, Elapsed: time.Since(start)})
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
	blob.TraceOf(ctx).Add(blob.Hop{Origin: s.origin.Name, Elapsed: time.Since(start)})
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
	return fmt.Errorf("%s: %s: an origin of kind %s is read-only: %w", s.origin.Name, call, s.origin.Kind, errors.ErrUnsupported)
}

// ready is the error of a call that cannot be answered.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return s.errClosed()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", s.origin.Name, err)
	}
	return nil
}

func (s *Store) errClosed() error {
	return fmt.Errorf("%s: closed: %w", s.origin.Name, blob.ErrUnavailable)
}

// Close implements stores.Store: it cuts all transfers and drops all connections.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.stop()
	return s.origin.Close()
}

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return int(s.pinned.Load()) }

// Stats is a snapshot of an origin.
type Stats struct {
	BytesIn uint64 // bytes of bodies that came
	Open    bool   // the origin keeps failing and is left alone
}

// Stats is what the store did so far.
func (s *Store) Stats() Stats { return Stats{BytesIn: s.bytesIn.Load(), Open: s.breaker.Open()} }

// newRequest builds a request for a blob.
func (s *Store) newRequest(ctx context.Context, call Call, h blob.Hash) (*http.Request, error) {
	method, url := call(h)
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: its address makes no request", s.origin.Name)
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
