package download

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/http3"
	"github.com/OdyseeTeam/prism/stores/peer"
	"github.com/OdyseeTeam/prism/stores/upstream"
)

// ErrAddress: an address that names no server.
var ErrAddress = errors.New("bad address of a server")

// The ports of servers that an address names without one.
const (
	defaultHTTP3Port = "5568"
	defaultPeerPort  = "5567"
)

// Open makes the origin that an address names: http://HOST:PORT or https://…, http3://HOST:PORT or quic://…, or
// peer://HOST:PORT or tcp://…. It does not speak to the server. token opens protected blobs, over HTTP only. The caller
// closes the store. Errors: ErrAddress.
func Open(address, token string) (stores.Store, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: want http://HOST:PORT, http3://HOST:PORT or peer://HOST:PORT", ErrAddress)
	}
	plain := u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
	var s stores.Store
	switch u.Scheme {
	case "http", "https":
		s, err = upstream.New(upstream.Options{Upstream: address, EdgeToken: token})
	case "http3", "quic", "peer", "tcp":
		switch {
		case !plain:
			return nil, fmt.Errorf("%w: %s:// takes a host and a port, and nothing else", ErrAddress, u.Scheme)
		case token != "":
			return nil, fmt.Errorf("%w: a token opens protected blobs over HTTP only; take http://HOST:PORT", ErrAddress)
		}
		if u.Scheme == "http3" || u.Scheme == "quic" {
			s, err = http3.New(http3.Options{Address: withPort(u, defaultHTTP3Port)})
		} else {
			s, err = peer.New(peer.Options{Address: withPort(u, defaultPeerPort)})
		}
	default:
		return nil, fmt.Errorf("%w: %s:// is not known; want http://, https://, http3://, quic://, peer:// or tcp://", ErrAddress, u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return s, nil
}

// withPort is host and port of an address.
func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), port)
}
