package reflector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/internal/pacedconn"
	"github.com/OdyseeTeam/prism/internal/serving"
	"github.com/OdyseeTeam/prism/stores"
)

// Server takes uploads. It is used once: for one Serve.
type Server struct {
	opt     Options
	wanter  stores.Wanter       // nil: Has says it
	streams stores.StreamKnower // nil: SD blobs say it
	count   counters
	faults  *serving.FaultLog
	places  *places
	turns   *turns
	bodies  *bufpool.Budget // one a body on its way
	lanes   *blob.Lanes     // that bodies are hashed on
	checks  *bufpool.Budget // one an SD blob that is read to find what its stream lacks

	base    context.Context // of every call of the store; set by Serve
	used    atomic.Bool
	running sync.WaitGroup // sessions

	mu       sync.Mutex
	draining bool
	sessions map[*session]struct{}
}

// New makes a server; it opens nothing. An error says which option is wrong.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opt:      o,
		count:    counters{errors: newErrorCounts()},
		faults:   serving.NewFaultLog(o.Logger, "reflector: upload failed", time.Second),
		places:   newPlaces(o.MaxConnections, o.MaxPerAddress),
		turns:    newTurns(),
		bodies:   bufpool.NewBudget(blob.MaxSize, o.MaxUploads),
		lanes:    blob.NewLanes(),
		sessions: map[*session]struct{}{},
	}
	s.checks = s.bodies.Sibling(maxChecks)
	s.wanter, _ = stores.As[stores.Wanter](o.Store)
	s.streams, _ = stores.As[stores.StreamKnower](o.Store)
	return s, nil
}

// Serve takes uploads on ln until ctx ends, and closes ln. Then it drains: it accepts nothing more, closes connections
// that wait for a message, lets uploads in flight come to their receipt, and after DrainTimeout cuts what is left. When
// it returns, nothing that it started is running. Errors: what ln failed with, or that the drain had to cut; nil when
// every upload in flight had its answer.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if s.used.Swap(true) {
		return errors.Join(errors.New("reflector: a server serves once"), ln.Close())
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.base = base
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() }) // which ends accept
	defer stop()
	err := s.accept(ctx, ln)
	_ = ln.Close()
	s.beginDrain()
	if err != nil {
		err = fmt.Errorf("reflector: serve: %w", err)
	} else {
		err = s.drain()
	}
	cancel()
	s.cut()
	s.running.Wait()
	return err
}

// accept starts a session for each connection, until ctx ends or ln fails.
func (s *Server) accept(ctx context.Context, ln net.Listener) error {
	err := serving.AcceptAll(ctx, ln.Accept, s.start, func(err error, pause time.Duration) {
		s.opt.Logger.Warn("reflector: accept failed; trying again", "error", err, "in", pause)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// start gives a connection its session, or closes it when there is no place.
func (s *Server) start(c net.Conn) {
	from := pacedconn.AddressOf(c.RemoteAddr())
	if !s.places.take(from) {
		s.count.refused.Add(1)
		_ = c.Close()
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true) // an answer that waited for another would share its segment
	}
	x := newSession(s, c)
	s.mu.Lock()
	s.sessions[x] = struct{}{}
	s.mu.Unlock()
	s.running.Go(func() {
		x.run()
		s.mu.Lock()
		delete(s.sessions, x)
		s.mu.Unlock()
		s.places.give(from)
	})
}

// beginDrain wakes the sessions that wait for a message. Those that come to wait later see draining.
func (s *Server) beginDrain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for x := range s.sessions {
		if x.waiting {
			_ = x.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// drain waits for uploads in flight.
func (s *Server) drain() error {
	over := make(chan struct{})
	go func() {
		s.running.Wait()
		close(over)
	}()
	timer := time.NewTimer(s.opt.DrainTimeout)
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-timer.C:
		return fmt.Errorf("reflector: drain: %d connections cut after %v", s.places.inUse(), s.opt.DrainTimeout)
	}
}

// cut closes every connection.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.sessions {
		_ = x.conn.Close()
	}
}
