package httpd

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/OdyseeTeam/prism/internal/serving"
	"github.com/OdyseeTeam/prism/stores"
)

// Options says what a server serves and what it allows. Zero values mean the defaults; negative ones are errors.
type Options struct {
	// Store answers. Required. The server does not close it.
	Store stores.Store
	// Gate decides about protected blobs; nil leaves every blob open.
	Gate Gate
	// Ready says whether this server wants traffic; nil means always. It must not block. A store that works with a
	// broken disk is ready.
	Ready func() error
	// Logger takes faults. Default: slog.Default.
	Logger *slog.Logger
	// HostName names this server in Via. Default: os.Hostname.
	HostName string

	// MaxConcurrentRequests bounds requests between their parse and the first byte of the answer. Default 200.
	MaxConcurrentRequests int
	// MaxQueue bounds the requests that wait for one of those slots. Default 10 × MaxConcurrentRequests.
	MaxQueue int
	// QueueTimeout bounds how long each of them waits. Default 10 s.
	QueueTimeout time.Duration
	// LookupTimeout bounds one call of the store, a fill from an origin included. Default 30 s, which is how long
	// deployed clients wait.
	LookupTimeout time.Duration

	// MaxConnections bounds open connections. Default 16,000.
	MaxConnections int
	// MinRate is how many bytes a second a reader must take, on average over each RateWindow that it keeps us
	// waiting. Default 8 KiB/s over one minute.
	MinRate    int64
	RateWindow time.Duration
	// HeaderTimeout bounds the arrival of a request's header, IdleTimeout the pause before it. Default 10 s, 120 s.
	HeaderTimeout time.Duration
	IdleTimeout   time.Duration
	// DrainTimeout bounds how long requests in flight may take once Serve's context has ended. Default 20 s.
	DrainTimeout time.Duration
}

// maxHeaderBytes bounds a request's line and header fields together.
const maxHeaderBytes = 8 << 10

// headerSlop is what net/http adds to Server.MaxHeaderBytes before it counts.
const headerSlop = 4 << 10

// withDefaults checks o and fills in what it leaves open.
func (o Options) withDefaults() (Options, error) {
	if o.Store == nil {
		return o, errors.New("http: a server needs a store")
	}
	ints := []serving.Setting[int]{
		{"max_concurrent_requests", &o.MaxConcurrentRequests, 200},
		{"max_queue", &o.MaxQueue, 10 * max(o.MaxConcurrentRequests, 20)},
		{"max_connections", &o.MaxConnections, 16_000},
	}
	if err := serving.FillIn("http", ints); err != nil {
		return o, err
	}
	rates := []serving.Setting[int64]{{"min_rate", &o.MinRate, 8 << 10}}
	if err := serving.FillIn("http", rates); err != nil {
		return o, err
	}
	if err := o.defaultTimes(); err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.HostName == "" {
		o.HostName, _ = os.Hostname() // a machine without a name leaves it empty
	}
	return o, nil
}

func (o *Options) defaultTimes() error {
	times := []serving.Setting[time.Duration]{
		{"queue_timeout", &o.QueueTimeout, 10 * time.Second},
		{"lookup_timeout", &o.LookupTimeout, 30 * time.Second},
		{"rate_window", &o.RateWindow, time.Minute},
		{"header_timeout", &o.HeaderTimeout, 10 * time.Second},
		{"idle_timeout", &o.IdleTimeout, 120 * time.Second},
		{"drain_timeout", &o.DrainTimeout, 20 * time.Second},
	}
	return serving.FillIn("http", times)
}
