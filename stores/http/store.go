package http

import (
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/fetch"
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
	DefaultDialTimeout   = fetch.DefaultDialTimeout
	DefaultHeaderTimeout = fetch.DefaultHeaderTimeout
	DefaultIdleTimeout   = fetch.DefaultIdleTimeout
	DefaultMaxIdleConns  = 64
	DefaultMaxBuffers    = fetch.DefaultMaxBuffers
)

// Store is the origin.
type Store struct{ *fetch.Store }

// New makes a store. It does not speak to the origin. Errors: an endpoint that is no absolute http or https URL.
func New(o Options) (*Store, error) {
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	if o.ShardingSize < 0 || o.ShardingSize >= blob.HexSize {
		return nil, fmt.Errorf("http: sharding_size is %d, want 0 to %d", o.ShardingSize, blob.HexSize-1)
	}
	transport := fetch.NewTransport(o.DialTimeout, o.HeaderTimeout, stores.OrDefault(o.MaxIdleConns, DefaultMaxIdleConns))
	url := func(h blob.Hash) string { return o.Endpoint + httpblob.ObjectPath(h, o.ShardingSize) }
	return &Store{fetch.New(fetch.Origin{
		Kind:        "http",
		Name:        stores.KindName("http", o.Name),
		Transport:   transport,
		Get:         func(h blob.Hash) (string, string) { return nethttp.MethodGet, url(h) },
		Has:         func(h blob.Hash) (string, string) { return nethttp.MethodHead, url(h) },
		Forbidden:   blob.ErrNotFound, // what a bucket says that nobody may list
		IdleTimeout: o.IdleTimeout,
		MaxBuffers:  o.MaxBuffers,
		Close: func() error {
			transport.CloseIdleConnections()
			return nil
		},
	})}, nil
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

var (
	_ stores.Store  = (*Store)(nil)
	_ stores.Opener = (*Store)(nil)
	_ stores.Pinner = (*Store)(nil)
)
