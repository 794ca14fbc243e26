package httpd

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/internal/serving"
)

// Protocol is what requests come over: the major version of HTTP.
type Protocol int

// The protocols that a Handler answers. Over HTTP/3 it answers the same paths in the same way, except that Via is sent
// only to those that ask for a trace, and that no token opens a protected blob.
const (
	HTTP1 Protocol = 1
	HTTP3 Protocol = 3
)

// Handler answers requests, whatever carries them: connections, their pace and their end are its server's. Of the
// Options it reads those that are about requests.
type Handler struct {
	opt    Options
	over   Protocol
	slots  *serving.Slots
	count  counters
	fixed  fixedHeaders
	faults *serving.FaultLog
	pieces *bufpool.Pool // for ranges to connections that are no kernel sink

	draining atomic.Bool
}

// NewHandler makes a handler. An error says which option is wrong.
func NewHandler(o Options, over Protocol) (*Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Handler{
		opt:    o,
		over:   over,
		count:  counters{errors: newErrorCounts()},
		slots:  serving.NewSlots(o.MaxConcurrentRequests, o.MaxQueue, o.QueueTimeout),
		fixed:  newFixedHeaders(),
		faults: serving.NewFaultLog(o.Logger, "http: request failed", time.Second),
		pieces: bufpool.New(pieceSize, 64),
	}, nil
}

// ServeHTTP implements http.Handler. It panics with http.ErrAbortHandler when an answer has to be cut.
func (s *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &exchange{s: s, w: w, r: r, conn: connOf(r.Context())}
	q.out.q = q
	defer func() { q.finish(recover()) }()
	q.serve()
}

// Drain makes /readyz tell load balancers to send their traffic elsewhere.
func (s *Handler) Drain() { s.draining.Store(true) }

// Options are those that the handler works with, the defaults filled in.
func (s *Handler) Options() Options { return s.opt }
