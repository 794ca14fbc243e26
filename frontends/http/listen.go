package httpd

import (
	"net"
	"sync/atomic"
	"time"
)

// listener counts connections, refuses those beyond the limit, and gives the others their pace.
type listener struct {
	net.Listener
	most    int64
	pace    pace
	open    *atomic.Int64
	refused *atomic.Uint64
}

// refusal is the whole answer to a connection too many. It fits the buffer of a socket that was just accepted.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// Accept returns the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) > l.most {
			l.open.Add(-1)
			l.refused.Add(1)
			refuse(nc)
			continue
		}
		c, err := newConn(nc, l.pace, l.open)
		if err != nil { // the socket is dead already
			l.open.Add(-1)
			_ = nc.Close()
			continue
		}
		return c, nil
	}
}

// refuse answers and closes. A client that has sent its request already may see a reset instead of the answer; waiting
// for it would hold what there is too little of.
func refuse(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = nc.Write([]byte(refusal))
	_ = nc.Close()
}
