package http3d

import (
	"errors"
	"fmt"

	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// Options says what a server serves and what it allows. Zero values mean the defaults; negative ones are errors.
type Options struct {
	// Options mean what they do for HTTP/1.1. A gate is asked without a token. HeaderTimeout bounds a handshake.
	httpd.Options

	// MaxConnectionsPerAddress bounds the connections of one IPv4 address or one IPv6 /64. Default 256.
	MaxConnectionsPerAddress int
	// TLSCert and TLSKey are PEM files, read again when they change. Both empty: a certificate is made at the start and
	// signed by itself, which is normal among peers.
	TLSCert, TLSKey string
}

const defaultPerAddress = 256

// check refuses what cannot be meant.
func (o *Options) check() error {
	if o.MaxConnectionsPerAddress < 0 {
		return fmt.Errorf("http3: max_connections_per_address is %d, want a positive number", o.MaxConnectionsPerAddress)
	}
	if o.MaxConnectionsPerAddress == 0 {
		o.MaxConnectionsPerAddress = defaultPerAddress
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return errors.New("http3: tls_cert and tls_key are given together or not at all")
	}
	return nil
}
