package peerd

import (
	"errors"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/serving"
	"github.com/OdyseeTeam/prism/stores"
)

// Gate decides who may have the bytes of a blob.
type Gate interface {
	// Check is nil when the blob is open to whoever shows token, which is always empty here: the protocol has none.
	// Otherwise it is blob.ErrProtected or blob.ErrNotFound, wrapped or not; both are answered as missing. It is called for
	// every hash and must not block.
	Check(h blob.Hash, token string) error
}

// Options says what a server serves and what it allows. Zero values mean the defaults; negative ones are errors.
type Options struct {
	// Store answers. Required. The server does not close it.
	Store stores.Store
	// Gate decides about protected blobs; nil leaves every blob open.
	Gate Gate
	// Logger takes faults. Default: slog.Default.
	Logger *slog.Logger

	// MaxConcurrentRequests bounds requests between their parse and the first byte of the answer. Default 200.
	MaxConcurrentRequests int
	// MaxQueue bounds the requests that wait for one of those slots. Default 10 × MaxConcurrentRequests.
	MaxQueue int
	// QueueTimeout bounds how long each of them waits. Default 10 s.
	QueueTimeout time.Duration
	// LookupTimeout bounds all that one request asks the store, a fill from an origin included. Default 30 s, which is how
	// long deployed clients wait.
	LookupTimeout time.Duration

	// MaxConnections bounds open connections. Default 16,000.
	MaxConnections int
	// MaxPerAddress bounds open connections of one remote address, an IPv6 address being its /64. Default: no bound.
	MaxPerAddress int
	// MinRate is how many bytes a second a reader must take, on average over each RateWindow that it keeps us
	// waiting. Default 8 KiB/s over one minute.
	MinRate    int64
	RateWindow time.Duration
	// RequestTimeout bounds the arrival of a request, from its first byte to its last, IdleTimeout the pause before it.
	// Default 10 s, 60 s.
	RequestTimeout time.Duration
	IdleTimeout    time.Duration
	// DrainTimeout bounds how long requests in flight may take once Serve's context has ended. Default 20 s.
	DrainTimeout time.Duration
}

// withDefaults checks o and fills in what it leaves open.
func (o Options) withDefaults() (Options, error) {
	if o.Store == nil {
		return o, errors.New("peer: a server needs a store")
	}
	err := serving.FillIn("peer",
		serving.Set("max_concurrent_requests", &o.MaxConcurrentRequests, 200),
		serving.Set("max_queue", &o.MaxQueue, 10*max(o.MaxConcurrentRequests, 20)),
		serving.Set("max_connections", &o.MaxConnections, 16_000),
		serving.Set("max_per_address", &o.MaxPerAddress, 0),
	)
	if err != nil {
		return o, err
	}
	if err := serving.FillIn("peer", serving.Set("min_rate", &o.MinRate, 8<<10)); err != nil {
		return o, err
	}
	err = serving.FillIn("peer",
		serving.Set("queue_timeout", &o.QueueTimeout, 10*time.Second),
		serving.Set("lookup_timeout", &o.LookupTimeout, 30*time.Second),
		serving.Set("rate_window", &o.RateWindow, time.Minute),
		serving.Set("request_timeout", &o.RequestTimeout, 10*time.Second),
		serving.Set("idle_timeout", &o.IdleTimeout, 60*time.Second),
		serving.Set("drain_timeout", &o.DrainTimeout, 20*time.Second),
	)
	if err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}
