package upstream

import (
	"errors"
	"fmt"
	"net/http"
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
	Name      string // follows "upstream-" in Name; empty: the kind alone
	Upstream  string // absolute http or https URL of the other server
	EdgeToken string // a secret; empty: none is sent

	DialTimeout   time.Duration // TCP, and TLS on top again; default 5 s
	HeaderTimeout time.Duration // from the request to the last header of the answer; default 15 s
	IdleTimeout   time.Duration // between two reads of a body that bring something; default 15 s

	// MaxBuffers bounds the buffers of 2 MiB that hold blobs got by Get, and bodies of unknown length; default 64.
	MaxBuffers int
}

// maxIdleConns is how many connections are kept for reuse.
const maxIdleConns = 64

// Store is the origin.
type Store struct{ *fetch.Store }

// New makes a store. It does not speak to the origin. Errors: an address that is no absolute http or https URL, or has a
// query. They do not echo it: it may hold a password.
func New(o Options) (*Store, error) {
	base, err := baseOf(o.Upstream)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	transport := fetch.NewTransport(o.DialTimeout, o.HeaderTimeout, maxIdleConns)
	suffix := ""
	if o.EdgeToken != "" {
		suffix = "&" + httpblob.TokenParam + "=" + url.QueryEscape(o.EdgeToken)
	}
	plain := func(h blob.Hash) string {
		return base + httpblob.BlobPath + "?" + httpblob.HashParam + "=" + h.String()
	}
	return &Store{fetch.New(fetch.Origin{
		Kind:        "upstream",
		Name:        stores.KindName("upstream", o.Name),
		Transport:   transport,
		Get:         func(h blob.Hash) (string, string) { return http.MethodGet, plain(h) + suffix },
		Has:         func(h blob.Hash) (string, string) { return http.MethodHead, plain(h) },
		Forbidden:   blob.ErrProtected,
		IdleTimeout: o.IdleTimeout,
		MaxBuffers:  o.MaxBuffers,
		Close: func() error {
			transport.CloseIdleConnections()
			return nil
		},
	})}, nil
}

// baseOf is an address without a slash at its end.
func baseOf(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", errors.New("the address is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the address must start with http:// or https://")
	case u.Hostname() == "":
		return "", errors.New("the address needs a host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(address, "#"):
		return "", errors.New("the address is that of a server, without ? and #; a token goes into edge_token")
	}
	return strings.TrimRight(address, "/"), nil
}
