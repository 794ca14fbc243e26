package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/breaker"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/protocol/peer"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Options are the settings of a Store. Zero means the default.
type Options struct {
	Name    string // follows "peer-" in Name; empty: the kind alone
	Address string // host:port

	DialTimeout   time.Duration // default 3 s
	HeaderTimeout time.Duration // from a request to the end of its answer's JSON; default 30 s
	IdleTimeout   time.Duration // between two reads of a body that bring something; default 30 s

	// KeepIdle is how long a connection is kept for reuse; default 45 s, less than servers wait for the next request.
	KeepIdle time.Duration
	// MaxIdleConns is how many connections are kept for reuse; default 64.
	MaxIdleConns int
	// MaxBuffers bounds the buffers of 2 MiB that hold blobs got by Get; default 64.
	MaxBuffers int
}

// The defaults of Options.
const (
	DefaultDialTimeout   = 3 * time.Second
	DefaultHeaderTimeout = 30 * time.Second
	DefaultIdleTimeout   = 30 * time.Second
	DefaultKeepIdle      = 45 * time.Second
	DefaultMaxIdleConns  = 64
	DefaultMaxBuffers    = 64
)

// Store is the origin.
type Store struct {
	name    string
	header  time.Duration
	idle    time.Duration
	pool    *pool
	bufs    *bufpool.Budget
	lanes   *blob.Lanes // that Gets are hashed on
	breaker *breaker.Breaker
	pinned  atomic.Int64
	bytesIn atomic.Uint64

	closed atomic.Bool
	root   context.Context // ends with Close, and every transfer with it
	stop   context.CancelFunc
}

// New makes a store. It does not speak to the origin. Errors: an address that is no host and port.
func New(o Options) (*Store, error) {
	host, port, err := net.SplitHostPort(o.Address)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" {
		return nil, fmt.Errorf("peer: address is %q, want a host and a port such as example.com:5567", o.Address)
	}
	name := stores.KindName("peer", o.Name)
	s := &Store{
		name:    name,
		header:  stores.OrDefault(o.HeaderTimeout, DefaultHeaderTimeout),
		idle:    stores.OrDefault(o.IdleTimeout, DefaultIdleTimeout),
		bufs:    bufpool.NewBudget(blob.MaxSize, stores.OrDefault(o.MaxBuffers, DefaultMaxBuffers)),
		lanes:   blob.NewLanes(),
		breaker: breaker.New(breaker.Options{Name: name, IsFailure: stores.OriginFailed}),
		pool: &pool{
			address: o.Address,
			dialer:  net.Dialer{Timeout: stores.OrDefault(o.DialTimeout, DefaultDialTimeout), KeepAlive: 30 * time.Second},
			keep:    stores.OrDefault(o.KeepIdle, DefaultKeepIdle),
			most:    stores.OrDefault(o.MaxIdleConns, DefaultMaxIdleConns),
		},
	}
	s.root, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Name implements stores.Store.
func (s *Store) Name() string { return s.name }

// Has implements stores.Store.
func (s *Store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	t, err := s.ask(ctx, h, peer.Request{Wanted: []blob.Hash{h}})
	if err != nil {
		return false, err
	}
	defer t.end()
	if t.answer.Incoming != nil { // bytes may follow that nobody asked for
		t.clean = false
	}
	return slices.Contains(t.answer.Available, h), nil
}

// Open implements stores.Opener. Our hop is in the trace when Open returns, and lasts until the origin answered: what
// reads the stream has begun its own answer by the end of the transfer.
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
	return blob.NewStream(h, t.left, t)
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
	return fmt.Errorf("%s: %s: an origin of kind peer is read-only: %w", s.name, call, errors.ErrUnsupported)
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
	s.pool.close()
	return nil
}

// Pinned implements stores.Pinner.
func (s *Store) Pinned() int { return int(s.pinned.Load()) }

// Stats is a snapshot of a store. Counters never fall.
type Stats struct {
	BytesIn uint64 // bytes of blobs that came
	Dials   uint64 // connections made
	Idle    int    // connections that are kept now
	Open    bool   // the origin keeps failing and is left alone
}

// Stats is what the store did so far.
func (s *Store) Stats() Stats {
	dials, idle := s.pool.stats()
	return Stats{BytesIn: s.bytesIn.Load(), Dials: dials, Idle: idle, Open: s.breaker.Open()}
}

var (
	_ stores.Store  = (*Store)(nil)
	_ stores.Opener = (*Store)(nil)
	_ stores.Pinner = (*Store)(nil)
)
