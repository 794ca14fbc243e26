package fetch

import (
	"net"
	"net/http"
	"time"

	"github.com/OdyseeTeam/prism/stores"
)

// NewTransport makes a pool of HTTP/1.1 connections: one connection a transfer, so that a large body holds up nobody.
// The time to dial bounds TCP, and TLS on top again; the time for a header begins when the request was sent. Zero means
// the defaults. conns is how many idle connections are kept.
func NewTransport(dial, header time.Duration, conns int) *http.Transport {
	dial = stores.OrDefault(dial, DefaultDialTimeout)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dial, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dial,
		ResponseHeaderTimeout:  stores.OrDefault(header, DefaultHeaderTimeout),
		MaxResponseHeaderBytes: MaxHeaderBytes,
		DisableCompression:     true,
		MaxIdleConns:           conns,
		MaxIdleConnsPerHost:    conns,
		IdleConnTimeout:        90 * time.Second,
		Protocols:              &protocols,
	}
}
