package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/fetch"
)

// What a server may send before we read it, in bytes: a blob and its headers on a stream, several on the connection.
const (
	streamWindow  = blob.MaxSize + 64<<10
	connWindow    = 4 * streamWindow
	maxConnWindow = 16 * streamWindow
	maxUniStreams = 3 // control, and two of QPACK
)

// transport sends requests over one connection, which it makes when there is none that works.
type transport struct {
	address string
	times   times
	tls     *tls.Config
	quic    *quic.Config
	h3      quichttp3.Transport // makes HTTP/3 of connections; it opens none

	root    context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup // dials, and connections until they have ended

	mu      sync.Mutex
	current *link // nil when the next request makes one
	closed  bool
}

// times are how long things may take: a connection, the header of an answer, and a silence.
type times struct{ dial, header, idle time.Duration }

// link is a connection from when it is dialled to its end.
type link struct {
	ready  chan struct{} // closed when it can be used, or has failed
	err    error         // why it failed; set before ready is closed
	conn   *quic.Conn
	client *quichttp3.ClientConn

	users   int  // requests whose answers have not been read; with transport.mu
	retired bool // closed when there are no users; with transport.mu
}

func newTransport(o *Options, address string, limits times) *transport {
	t := &transport{
		address: address,
		times:   limits,
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS13,
			NextProtos:         []string{quichttp3.NextProtoH3},
			InsecureSkipVerify: !o.VerifyCertificate, //nolint:gosec // the package comment says why
			RootCAs:            o.Roots,
		},
		quic: &quic.Config{
			HandshakeIdleTimeout:           limits.dial,
			MaxIdleTimeout:                 limits.idle,
			KeepAlivePeriod:                limits.idle / 2, // a connection that has died is noticed before it is needed
			InitialStreamReceiveWindow:     streamWindow,
			MaxStreamReceiveWindow:         streamWindow,
			InitialConnectionReceiveWindow: connWindow,
			MaxConnectionReceiveWindow:     maxConnWindow,
			MaxIncomingStreams:             -1,
			MaxIncomingUniStreams:          maxUniStreams,
			InitialPacketSize:              1200, // what every path carries; more is found out
		},
		h3: quichttp3.Transport{MaxResponseHeaderBytes: fetch.MaxHeaderBytes, DisableCompression: true},
	}
	t.root, t.stop = context.WithCancel(context.Background())
	return t
}

// RoundTrip implements http.RoundTripper. A request that an old connection could not carry goes out once more, on a new
// one.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		l, old, err := t.use(req.Context())
		if err != nil {
			return nil, err
		}
		res, err := t.ask(l, req)
		if err == nil {
			return res, nil
		}
		broken := req.Context().Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) && isBroken(err)
		if broken {
			t.retire(l)
		}
		t.leave(l)
		if !broken || !old {
			return nil, err
		}
	}
}

// ask sends a request on a connection, which the answer's body leaves when it is closed. An error leaves that to the
// caller.
func (t *transport) ask(l *link, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(t.times.header, func() {
		cancel(fmt.Errorf("no answer came for %v: %w", t.times.header, os.ErrDeadlineExceeded))
	})
	res, err := l.client.RoundTrip(req.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	res.Body = &body{ReadCloser: res.Body, done: func() {
		cancel(nil)
		t.leave(l)
	}}
	return res, nil
}

// isBroken says whether an error is about the connection, rather than about one request on it.
func isBroken(err error) bool {
	var stream *quic.StreamError
	if errors.As(err, &stream) {
		return stream.ErrorCode == quic.StreamErrorCode(quichttp3.ErrCodeRequestRejected)
	}
	return true
}

// use gives the connection, for a request that will leave it. old says that it was there before. Errors: why there is
// none, or the context's.
func (t *transport) use(ctx context.Context) (l *link, old bool, err error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, false, errClosed
	}
	l, old = t.current, t.current != nil
	if old && l.conn != nil && l.conn.Context().Err() != nil {
		old = false
	}
	if !old {
		l = &link{ready: make(chan struct{})}
		t.current = l
		t.running.Add(1)
		go t.dial(l)
	}
	l.users++
	t.mu.Unlock()
	select {
	case <-l.ready:
		err = l.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		t.leave(l)
		return nil, false, err
	}
	return l, old, nil
}

var errClosed = errors.New("http3: the transport is closed")

// leave says that a request needs its connection no more.
func (t *transport) leave(l *link) {
	t.mu.Lock()
	l.users--
	idle := l.users == 0 && l.retired
	t.mu.Unlock()
	if idle {
		l.close()
	}
}

// retire gives no more requests to a connection. Its last user closes it.
func (t *transport) retire(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.retired = true
	if t.current == l {
		t.current = nil
	}
}

// close ends a connection that was made.
func (l *link) close() {
	_ = l.conn.CloseWithError(quic.ApplicationErrorCode(quichttp3.ErrCodeNoError), "")
}

// dial makes a connection, and stays until it has ended.
func (t *transport) dial(l *link) {
	defer t.running.Done()
	ctx, cancel := context.WithTimeout(t.root, t.times.dial)
	conn, err := dial(ctx, t.address, t.tls, t.quic)
	cancel()
	t.mu.Lock()
	if err != nil {
		l.err = err
		if t.current == l {
			t.current = nil
		}
	} else {
		l.conn, l.client = conn, t.h3.NewClientConn(conn)
	}
	t.mu.Unlock()
	close(l.ready)
	if err != nil {
		return
	}
	select {
	case <-conn.Context().Done():
	case <-t.root.Done():
		l.close()
	}
}

// Close ends all connections, and the transfers on them.
func (t *transport) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.running.Wait()
	return nil
}

// body is the body of an answer. Whoever closes it leaves the connection.
type body struct {
	io.ReadCloser
	once sync.Once
	done func()
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.done)
	return err
}

var _ http.RoundTripper = (*transport)(nil)
