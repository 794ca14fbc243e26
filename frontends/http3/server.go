package http3d

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	httpd "github.com/OdyseeTeam/prism/frontends/http"
	"github.com/OdyseeTeam/prism/internal/promptudp"
)

// What a client may send at once, in bytes and streams.
const (
	maxHeaderBytes = 8 << 10
	streamWindow   = 16 << 10
	connWindow     = 128 << 10
	maxRequests    = 100
	maxUniStreams  = 3 // control, and two of QPACK
)

// linger is how long a connection on which nothing is answered any more stays open in a drain: the end of an answer may
// still be on its way, and a client that was told to leave does so by itself.
const linger = time.Second

// Server serves blobs over HTTP/3. It is used once: for one Serve.
type Server struct {
	opt     Options
	handler *httpd.Handler
	peers   *peers
	certs   *certificates
	http    *http3.Server
	least   int64 // bytes that a reader must take in a window
	used    atomic.Bool
}

// Stats is a snapshot of a server. BytesOut counts what was put into packets. Refused counts the packets that were to
// begin a connection beyond a limit: a client may send several.
type Stats struct {
	httpd.Stats
	Handshakes      int64     // under way now
	Retries         uint64    // clients whose address had to be checked first
	CertificateEnds time.Time // until when clients take the certificate that is shown now
}

// New makes a server; of the files that the options name it reads the certificate. An error says which option is wrong.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	h, err := httpd.NewHandler(o.Options, httpd.HTTP3)
	if err != nil {
		return nil, fmt.Errorf("http3: %w", err)
	}
	o.Options = h.Options()
	s := &Server{
		opt:     o,
		handler: h,
		peers:   newPeers(o.MaxConnections, o.MaxConnectionsPerAddress),
		least:   max(int64(float64(o.MinRate)*o.RateWindow.Seconds()), 1),
	}
	if o.TLSCert == "" {
		s.certs, err = madeCertificates(o.HostName)
	} else {
		s.certs, err = fileCertificates(o.TLSCert, o.TLSKey, o.Logger)
	}
	if err != nil {
		return nil, err
	}
	s.http = &http3.Server{Handler: http.HandlerFunc(s.serveHTTP), MaxHeaderBytes: maxHeaderBytes, Logger: o.Logger}
	return s, nil
}

// serveHTTP answers one request.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if c, ok := r.Context().Value(peerKey{}).(*peer); ok {
		c.begin()
		defer c.end()
	}
	out := newWriter(w, s.opt.RateWindow, s.least)
	s.handler.ServeHTTP(out, r)
	out.finish()
}

// Stats is what the server did so far, and does now.
func (s *Server) Stats() Stats {
	open, handshakes := s.peers.counts()
	out := Stats{Stats: s.handler.Stats(), Handshakes: int64(handshakes), Retries: s.peers.retried.Load()}
	out.Connections, out.Refused = int64(open), s.peers.refused.Load()
	out.CertificateEnds = s.certs.current.Load().Leaf.NotAfter
	return out
}

func (s *Server) tlsConfig() *tls.Config {
	return http3.ConfigureTLSConfig(&tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.certs.get})
}

func (s *Server) quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           s.opt.HeaderTimeout / 2, // the whole may take twice that
		MaxIdleTimeout:                 s.opt.IdleTimeout,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     connWindow,
		MaxIncomingStreams:             maxRequests,
		MaxIncomingUniStreams:          maxUniStreams,
		InitialPacketSize:              1200, // what every path carries; more is found out
	}
}

// Serve answers on pc until ctx ends, and closes pc. Then it drains: it lets nobody in, tells clients to leave (GOAWAY),
// answers the requests in flight, and after DrainTimeout cuts what is left. When it returns, nothing that it started is
// running. Errors: what pc failed with, or that the drain had to cut; nil when every request in flight was answered.
func (s *Server) Serve(ctx context.Context, pc net.PacketConn) error {
	if s.used.Swap(true) {
		return errors.Join(errors.New("http3: a server serves once"), pc.Close())
	}
	conn, err := prompt(pc)
	if err != nil {
		return errors.Join(fmt.Errorf("http3: listen: %w", err), pc.Close())
	}
	transport := &quic.Transport{Conn: conn, VerifySourceAddress: s.peers.suspect, ConnContext: s.peers.admit}
	quicListener, err := transport.Listen(s.tlsConfig(), s.quicConfig())
	if err != nil {
		return errors.Join(fmt.Errorf("http3: listen: %w", err), transport.Close(), pc.Close())
	}
	ln := &listener{Listener: quicListener, peers: s.peers}
	ended := make(chan error, 1)
	go func() { ended <- s.http.ServeListener(ln) }()
	err = s.run(ctx, ln, ended)

	s.peers.close()
	_ = s.http.Close() // waits for the handlers
	_ = ln.Close()
	err = errors.Join(err, transport.Close())
	_ = pc.Close()
	s.peers.gone.Wait()
	return err
}

// prompt is what packets are sent on: a batch of them is a system call that lasts, and that need not wait for anybody.
func prompt(pc net.PacketConn) (net.PacketConn, error) {
	if c, ok := pc.(*net.UDPConn); ok {
		return promptudp.New(c)
	}
	return pc, nil
}

// run waits for the end of ctx, drains, and waits for the server's accept loop.
func (s *Server) run(ctx context.Context, ln *listener, ended <-chan error) error {
	sweep := time.NewTicker(max(s.opt.IdleTimeout/4, time.Millisecond))
	defer sweep.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("http3: serve: %w", err)
		case now := <-sweep.C:
			s.peers.closeQuiet(now.Add(-s.opt.IdleTimeout))
			continue
		case <-ctx.Done():
		}
		break
	}
	s.handler.Drain()
	s.peers.close()
	ln.stop()
	err := s.drain(ctx)
	if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("http3: serve: %w", e))
	}
	return err
}

// drain waits for requests in flight.
func (s *Server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.DrainTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.http.Shutdown(ctx) }()
	begin := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("http3: drain: what was left after %v was cut: %w", s.opt.DrainTimeout, err)
			}
			return nil
		case now := <-tick.C:
			if quiet := now.Add(-linger); quiet.After(begin) {
				s.peers.closeQuiet(quiet)
			}
		}
	}
}
