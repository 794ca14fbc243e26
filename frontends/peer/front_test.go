package peerd_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// askPeer asks for a blob on a connection of its own. A server that closes the connection at once, as it does for what is
// no hash, cannot be told from one that failed: the name tells.
func askPeer(ctx context.Context, addr net.Addr, name string) (frontendtest.Verdict, []byte) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return frontendtest.Failed, nil
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	if _, err := fmt.Fprintf(nc, `{"requested_blob":%q}`, name); err != nil {
		return frontendtest.Failed, nil
	}
	c := &client{TCPConn: nc.(*net.TCPConn)}
	json, body, err := c.read()
	if err == io.EOF && json == "" {
		if _, bad := peer.ParseRequest(fmt.Appendf(nil, `{"requested_blob":%q}`, name)); bad != nil {
			return frontendtest.Refused, nil
		}
	}
	if err != nil {
		return frontendtest.Failed, nil
	}
	res, err := peer.ParseResponse([]byte(json))
	switch {
	case err != nil || res.Incoming == nil:
		return frontendtest.Failed, nil
	case res.Incoming.Error == peer.NotFound:
		return frontendtest.Missing, nil
	case res.Incoming.Error != "":
		return frontendtest.Failed, nil
	}
	return frontendtest.Found, body
}

func TestFront(t *testing.T) {
	frontendtest.Run(t, frontendtest.Front{
		Start: func(t *testing.T, o frontendtest.Options) (net.Addr, func(context.Context) error) {
			s, err := peerd.New(peerd.Options{
				Store: o.Store, Gate: o.Gate, Logger: slog.New(slog.DiscardHandler),
				MinRate: o.MinRate, RateWindow: o.RateWindow, DrainTimeout: o.DrainTimeout,
			})
			if err != nil {
				t.Fatal(err)
			}
			return frontendtest.OnTCP(t, s.Serve)
		},
		Ask: askPeer,
		Stall: func(ctx context.Context, addr net.Addr, name string) (io.Closer, error) {
			return frontendtest.StallTCP(ctx, addr, fmt.Sprintf(`{"requested_blob":%q}`, name))
		},
		HidesProtected: true,
	})
}
