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

// verdicts are what the statuses of this frontend say.
var verdicts = map[int]frontendtest.Verdict{
	http.StatusOK:         frontendtest.Found,
	http.StatusNotFound:   frontendtest.Missing,
	http.StatusForbidden:  frontendtest.Protected,
	http.StatusBadRequest: frontendtest.Refused,
}

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
	body, err := io.ReadAll(res.Body)
	verdict, known := verdicts[res.StatusCode]
	switch {
	case err != nil || !known:
		return frontendtest.Failed, nil
	case verdict != frontendtest.Found:
		return verdict, nil
	}
	return verdict, body
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
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			return ln.Addr(), func(ctx context.Context) error { return s.Serve(ctx, ln) }
		},
		Ask: askHTTP,
		Stall: func(ctx context.Context, addr net.Addr, name string) (io.Closer, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
			if err == nil {
				_ = c.(*net.TCPConn).SetReadBuffer(4096)
				_, err = fmt.Fprintf(c, "GET /blob?hash=%s HTTP/1.1\r\nHost: x\r\n\r\n", name)
			}
			return c, err
		},
	})
}
