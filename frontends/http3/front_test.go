package http3d_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
)

// requestBlob sends a request for a blob on a connection of its own.
func requestBlob(ctx context.Context, addr net.Addr, name string, o *quic.Config) (*http3.Transport, *http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr.String()+"/blob?hash="+url.QueryEscape(name), nil)
	if err != nil {
		return nil, nil, err
	}
	c := &http3.Transport{TLSClientConfig: clientTLS(), QUICConfig: o, DisableCompression: true}
	res, err := c.RoundTrip(req)
	if err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	return c, res, nil
}

func askHTTP3(ctx context.Context, addr net.Addr, name string) (frontendtest.Verdict, []byte) {
	c, res, err := requestBlob(ctx, addr, name, nil)
	if err != nil {
		return frontendtest.Failed, nil
	}
	defer c.Close()
	defer res.Body.Close()
	return frontendtest.HTTPVerdict(res)
}

func TestFront(t *testing.T) {
	frontendtest.Run(t, frontendtest.Front{
		Start: func(t *testing.T, o frontendtest.Options) (net.Addr, func(context.Context) error) {
			s, err := http3d.New(http3d.Options{Options: httpd.Options{
				Store: o.Store, Gate: o.Gate, Logger: slog.New(slog.DiscardHandler),
				MinRate: o.MinRate, RateWindow: o.RateWindow, DrainTimeout: o.DrainTimeout,
			}})
			if err != nil {
				t.Fatal(err)
			}
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return pc.LocalAddr(), func(ctx context.Context) error { return s.Serve(ctx, pc) }
		},
		Ask: askHTTP3,
		Stall: func(ctx context.Context, addr net.Addr, name string) (io.Closer, error) {
			const window = 64 << 10
			c, _, err := requestBlob(ctx, addr, name, &quic.Config{ //nolint:bodyclose // it is not read, and goes with the connection
				InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window,
				InitialConnectionReceiveWindow: window, MaxConnectionReceiveWindow: window,
			})
			return c, err
		},
	})
}
