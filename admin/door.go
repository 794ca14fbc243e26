package admin

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// door lets in root and the user of this process, and only so many at once.
type door struct {
	*Listener
	most   int
	log    *slog.Logger
	inside atomic.Int64
}

// Accept gives the next connection that may ask.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		cred, err := credentials(conn)
		if err != nil || !trusted(cred.Uid) {
			d.log.Warn("somebody who may not was turned away from the admin socket", "credentials", cred, "err", err)
			turnAway(conn, "403 Forbidden", "only root and the user that runs prism may ask here")
			continue
		}
		if d.inside.Add(1) > int64(d.most) {
			d.inside.Add(-1)
			turnAway(conn, "503 Service Unavailable", fmt.Sprintf("there are %d connections already; close some, and try again", d.most))
			continue
		}
		return &guest{Conn: conn, leave: sync.OnceFunc(func() { d.inside.Add(-1) })}, nil
	}
}

func trusted(uid uint32) bool { return uid == 0 || int64(uid) == int64(os.Geteuid()) }

// turnAway answers a connection that is not read.
func turnAway(conn net.Conn, status, why string) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // it fits the socket's buffer
	fmt.Fprintf(conn, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\n", status, len(why)+1, why)
	_ = conn.Close()
}

// guest is a connection that counts.
type guest struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
