package reflector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/frontendtest"
	"github.com/OdyseeTeam/prism/frontends/reflector"
)

// askReflector offers a blob on a connection of its own: one that is not wanted is there. A server that closes the
// connection, as it does for what is no hash, cannot be told from one that failed: the name tells.
func askReflector(ctx context.Context, addr net.Addr, name string) (frontendtest.Verdict, []byte) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return frontendtest.Failed, nil
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	if _, err := io.WriteString(nc, `{"version":1}`); err != nil {
		return frontendtest.Failed, nil
	}
	hello := make([]byte, len(`{"version":1}`))
	if _, err := io.ReadFull(nc, hello); err != nil {
		return frontendtest.Failed, nil
	}
	if _, err := fmt.Fprintf(nc, `{"blob_hash":%q,"blob_size":5000}`, name); err != nil {
		return frontendtest.Failed, nil
	}
	answer := make([]byte, 64)
	n, err := nc.Read(answer)
	_, malformed := blob.ParseHash(name)
	switch text := string(answer[:n]); {
	case text == `{"send_blob":false}`:
		return frontendtest.Found, nil
	case text == `{"send_blob":true}`:
		return frontendtest.Missing, nil
	case n == 0 && (errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset")) && malformed != nil:
		return frontendtest.Refused, nil
	}
	return frontendtest.Failed, nil
}

func TestFront(t *testing.T) {
	frontendtest.Run(t, frontendtest.Front{
		Start: func(t *testing.T, o frontendtest.Options) (net.Addr, func(context.Context) error) {
			s, err := reflector.New(reflector.Options{Store: o.Store, Logger: slog.New(slog.DiscardHandler), DrainTimeout: o.DrainTimeout})
			if err != nil {
				t.Fatal(err)
			}
			return frontendtest.OnTCP(t, s.Serve)
		},
		Ask:      askReflector,
		NoBodies: true,
		NoGate:   true,
	})
}
