package httpd_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// askHTTP asks for a blob on a connection of its own.
func askHTTP(ctx context.Context, addr net.Addr, name string) (frontendtest.Verdict, []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+"/blob?hash="+url.QueryEscape(name), nil)
	if err != nil {
		return frontendtest.Failed, nil
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return frontendtest.Failed, nil
	}
	defer res.Body.Close()
	return frontendtest.HTTPVerdict(res)
}

func TestFront(t *testing.T) {
	frontendtest.Run(t, frontendtest.Front{
		Start: func(t *testing.T, o frontendtest.Options) (net.Addr, func(context.Context) error) {
			s, err := httpd.New(httpd.Options{
				Store: o.Store, Gate: o.Gate, Logger: slog.New(slog.DiscardHandler),
				MinRate: o.MinRate, RateWindow: o.RateWindow, DrainTimeout: o.DrainTimeout,
			})
			if err != nil {
				t.Fatal(err)
			}
			return frontendtest.OnTCP(t, s.Serve)
		},
		Ask: askHTTP,
		Stall: func(ctx context.Context, addr net.Addr, name string) (io.Closer, error) {
			return frontendtest.StallTCP(ctx, addr, fmt.Sprintf("GET /blob?hash=%s HTTP/1.1\r\nHost: x\r\n\r\n", name))
		},
	})
}
