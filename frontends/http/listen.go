package httpd

import (
	"context"
	"net"

	"github.com/OdyseeTeam/prism/internal/pacedconn"
)

// conn is an accepted connection under net/http.
type conn struct {
	*pacedconn.Conn
	silent bool // it is in Server.silent; for Server.track alone, which net/http calls in sequence
}

// connKey is the key under which a request's context has its conn.
type connKey struct{}

// connOf is the connection that a request came over, or nil when it is not one of ours.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// listener makes a conn of each connection.
type listener struct{ *pacedconn.Listener }

// refusal is the whole answer to a connection too many. It fits the buffer of a socket that was just accepted.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// Accept returns the next connection that there is room for.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}
