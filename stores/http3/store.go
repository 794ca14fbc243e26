package http3

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/fetch"
)

// Options are the settings of a Store. Zero means the default.
type Options struct {
	Name    string // follows "http3-" in Name; empty: the kind alone
	Address string // host:port or https://host:port

	Timeout       time.Duration // stands for each of the others that is zero
	DialTimeout   time.Duration // of all addresses of the host together, with the handshake; default 5 s
	HeaderTimeout time.Duration // from the request to the last header of the answer; default 15 s
	IdleTimeout   time.Duration // between two reads of a body that bring something; default 15 s

	// VerifyCertificate refuses a server whose certificate is not signed by somebody trusted, or is for another host.
	VerifyCertificate bool
	// Roots are those who are trusted; nil: those that the system trusts.
	Roots *x509.CertPool

	// MaxBuffers bounds the buffers of 2 MiB that hold blobs got by Get, and bodies of unknown length; default 64.
	MaxBuffers int
}

// Store is the origin.
type Store struct{ *fetch.Store }

// New makes a store. It does not speak to the origin. Errors: an address of another form.
func New(o Options) (*Store, error) {
	address, err := hostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("http3: %w", err)
	}
	dial := stores.OrDefault(o.DialTimeout, stores.OrDefault(o.Timeout, fetch.DefaultDialTimeout))
	header := stores.OrDefault(o.HeaderTimeout, stores.OrDefault(o.Timeout, fetch.DefaultHeaderTimeout))
	idle := stores.OrDefault(o.IdleTimeout, stores.OrDefault(o.Timeout, fetch.DefaultIdleTimeout))
	transport := newTransport(&o, address, times{dial, header, idle})
	call := func(path string) fetch.Call {
		return func(h blob.Hash) (string, string) {
			return http.MethodGet, "https://" + address + strings.Replace(path, "H", h.String(), 1)
		}
	}
	return &Store{fetch.New(fetch.Origin{
		Kind:        "http3",
		Name:        stores.KindName("http3", o.Name),
		Transport:   transport,
		Get:         call(httpblob.GetPrefix + "H?trace=true"),
		Has:         call(httpblob.HasPrefix + "H"),
		Forbidden:   blob.ErrProtected,
		Close:       transport.Close,
		IdleTimeout: idle,
		MaxBuffers:  o.MaxBuffers,
	})}, nil
}

// hostPort is the host and port of an address.
func hostPort(address string) (string, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("the address is not host:port")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme != "https":
		return "", errors.New("the address is host:port, or starts with https://")
	case u.Hostname() == "" || err != nil || port == 0:
		return "", errors.New("the address needs a host and a port, such as example.com:5568")
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "", errors.New("the address has more than a host and a port")
	}
	return net.JoinHostPort(u.Hostname(), u.Port()), nil
}
