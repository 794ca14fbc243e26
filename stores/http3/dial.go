package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
)

// dial makes a connection on a socket of its own, which ends with it. Of several addresses IPv4 comes first: older
// servers listen on nothing else.
func dial(ctx context.Context, address string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	conf = conf.Clone()
	conf.ServerName = host
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	var failed error
	for i, addr := range addrs {
		conn, err := dialOne(ctx, net.JoinHostPort(addr.Unmap().String(), port), len(addrs)-i, conf, q)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, fmt.Errorf("dial %s: %w", addr.Unmap(), err))
	}
	return nil, failed
}

// dialOne tries one address, in its share of the time that is left for so many.
func dialOne(ctx context.Context, addr string, left int, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return quic.DialAddr(ctx, addr, conf, q)
}
