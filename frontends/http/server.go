package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/pacedconn"
)

// Server serves blobs over HTTP/1.1. It is used once: for one Serve.
type Server struct {
	*Handler
	http *http.Server

	base    context.Context // of every request; set by Serve
	used    atomic.Bool
	serving sync.WaitGroup // net/http's goroutines, one a connection

	mu     sync.Mutex
	silent map[*conn]struct{} // connections whose first request has not come
}

// New makes a server; it opens nothing. An error says which option is wrong.
func New(o Options) (*Server, error) {
	h, err := NewHandler(o, HTTP1)
	if err != nil {
		return nil, err
	}
	o = h.opt
	s := &Server{Handler: h, silent: map[*conn]struct{}{}}
	var only http.Protocols
	only.SetHTTP1(true)
	s.http = &http.Server{
		Handler:                      h,
		DisableGeneralOptionsHandler: true,
		Protocols:                    &only,
		MaxHeaderBytes:               maxHeaderBytes - headerSlop,
		ReadHeaderTimeout:            o.HeaderTimeout,
		// Bodies are not read, but net/http discards them to find the next request, and would wait for ever.
		ReadTimeout: o.HeaderTimeout,
		IdleTimeout: o.IdleTimeout,
		BaseContext: func(net.Listener) context.Context { return s.base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ConnState: s.track,
		ErrorLog:  slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// track counts the goroutines that net/http starts for connections, so that Serve can wait for them, and knows the
// connections that have not asked for anything, so that a drain need not wait for those.
func (s *Server) track(nc net.Conn, state http.ConnState) {
	c, _ := nc.(*conn) // what the listener gives
	switch state {
	case http.StateNew:
		s.serving.Add(1)
		s.keepSilent(c)
	case http.StateClosed, http.StateHijacked:
		s.forgetSilent(c)
		s.serving.Done()
	case http.StateActive:
		s.forgetSilent(c)
	case http.StateIdle:
	}
}

// keepSilent notes a connection that has sent no request, or closes it when the drain has begun.
func (s *Server) keepSilent(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		_ = c.Close()
		return
	}
	c.silent = true
	s.silent[c] = struct{}{}
}

// forgetSilent takes the lock once in the life of a connection, not for each of its requests.
func (s *Server) forgetSilent(c *conn) {
	if !c.silent {
		return
	}
	c.silent = false
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, c)
}

// closeSilent closes the connections that have sent no request: net/http would wait for them for seconds. Those that
// come later are closed by keepSilent, so draining must be set before.
func (s *Server) closeSilent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.silent {
		_ = c.Close()
	}
}

// Serve answers on ln until ctx ends, and closes ln. Then it drains: it accepts nothing more, closes connections that
// wait for a request, answers those in flight with "Connection: close", and after DrainTimeout cuts what is left. When
// it returns, nothing that it started is running. Errors: what ln failed with, or that the drain had to cut; nil when
// every request in flight was answered.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if s.used.Swap(true) {
		return errors.Join(errors.New("http: a server serves once"), ln.Close())
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.base = base
	limited := listener{pacedconn.Listen(ln, pacedconn.PaceOf(s.opt.MinRate, s.opt.RateWindow, blob.MinSinkWrite),
		pacedconn.Limits{
			Most:    s.opt.MaxConnections,
			Refusal: refusal,
			Open:    &s.count.connections,
			Refused: &s.count.refused,
		})}
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(limited) }()

	select {
	case err := <-ended:
		cancel()
		_ = s.http.Close() // the listener failed, and that is the error to report
		s.serving.Wait()
		return fmt.Errorf("http: serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	err := s.drain(ctx)
	cancel()
	_ = s.http.Close() // nothing is left, or it is to be cut
	if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("http: serve: %w", e))
	}
	s.serving.Wait()
	return err
}

// drain waits for requests in flight.
func (s *Server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.DrainTimeout)
	defer cancel()
	s.closeSilent()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("http: drain: %d connections cut after %v: %w",
			s.count.connections.Load(), s.opt.DrainTimeout, err)
	}
	return nil
}
