package peerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/pacedconn"
	"github.com/OdyseeTeam/prism/internal/serving"
)

// Server serves blobs over the TCP peer protocol. It is used once: for one Serve.
type Server struct {
	opt    Options
	slots  *serving.Slots
	faults *serving.FaultLog
	count  counters

	base     context.Context // of every call of the store; set by Serve
	used     atomic.Bool
	draining atomic.Bool
	serving  sync.WaitGroup // the goroutines of sessions

	mu       sync.Mutex
	sessions map[*session]struct{}
}

// New makes a server; it opens nothing. An error says which option is wrong.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{
		opt:      o,
		slots:    serving.NewSlots(o.MaxConcurrentRequests, o.MaxQueue, o.QueueTimeout),
		faults:   serving.NewFaultLog(o.Logger, "peer: request failed", time.Second),
		count:    counters{errors: newErrorCounts()},
		sessions: map[*session]struct{}{},
	}, nil
}

// Serve answers on ln until ctx ends, and closes ln. Then it drains: it accepts nothing more, closes connections that
// wait for a request, answers those in flight, and after DrainTimeout cuts what is left. When it returns, nothing that it
// started is running. Errors: what ln failed with, or that the drain had to cut; nil when every request in flight was
// answered.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if s.used.Swap(true) {
		return errors.Join(errors.New("peer: a server serves once"), ln.Close())
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.base = base
	limited := pacedconn.Listen(ln, pacedconn.PaceOf(s.opt.MinRate, s.opt.RateWindow, blob.MinSinkWrite),
		pacedconn.Limits{
			Most:       s.opt.MaxConnections,
			PerAddress: s.opt.MaxPerAddress,
			Open:       &s.count.connections,
			Refused:    &s.count.refused,
		})
	ended := make(chan error, 1)
	go func() { ended <- s.accept(ctx, limited) }()

	var err error
	select {
	case err = <-ended:
		s.draining.Store(true)
		_ = limited.Close() // it failed, and that is the error to report
		err = fmt.Errorf("peer: serve: %w", err)
	case <-ctx.Done():
		s.draining.Store(true)
		_ = limited.Close()
		e := <-ended // so no session begins any more
		err = s.drain()
		if !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("peer: serve: %w", e))
		}
	}
	cancel()
	s.closeSessions()
	s.serving.Wait()
	return err
}

// accept begins a session for each connection, until the listener fails or is closed.
func (s *Server) accept(ctx context.Context, ln *pacedconn.Listener) error {
	return serving.AcceptAll(ctx, ln.AcceptConn, s.begin, func(err error, pause time.Duration) {
		s.opt.Logger.Warn("peer: accept failed; trying again", "error", err, "in", pause)
	})
}

// begin starts a session.
func (s *Server) begin(c *pacedconn.Conn) {
	n := newSession(s, c)
	s.mu.Lock()
	s.sessions[n] = struct{}{}
	s.mu.Unlock()
	s.serving.Go(func() {
		defer s.forget(n)
		n.serve()
	})
}

func (s *Server) forget(n *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, n)
}

// drain closes the sessions that wait for a request, and waits for the others.
func (s *Server) drain() error {
	s.mu.Lock()
	for n := range s.sessions {
		n.closeIdle()
	}
	s.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		s.serving.Wait() // Serve waits for the same
		close(answered)
	}()
	timer := time.NewTimer(s.opt.DrainTimeout)
	defer timer.Stop()
	select {
	case <-answered:
		return nil
	case <-timer.C:
		return fmt.Errorf("peer: drain: %d connections cut after %v: %w",
			s.count.connections.Load(), s.opt.DrainTimeout, context.DeadlineExceeded)
	}
}

// closeSessions cuts all that is left.
func (s *Server) closeSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.sessions {
		_ = n.conn.Close()
	}
}
