package httpd

import (
	"net/http"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/internal/serving"
)

// StatusClientGone counts requests that were not answered, or not to their end, because the client left or the answer
// had to be cut. It is never sent.
const StatusClientGone = 499

// statuses are all that an answer of this package can have.
var statuses = [...]int{
	http.StatusOK, http.StatusNoContent, http.StatusPartialContent, http.StatusNotModified, http.StatusBadRequest,
	http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusPreconditionFailed,
	http.StatusRequestedRangeNotSatisfiable, StatusClientGone, http.StatusInternalServerError, http.StatusBadGateway,
	http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusHTTPVersionNotSupported,
}

// RequestCount says how often a kind of path was answered with a status.
type RequestCount struct {
	Path   string // blob, object, get, has, healthz, readyz, none
	Status int    // as sent, or StatusClientGone
	Count  uint64
}

// Stats is a snapshot of a server. Counters never fall; the others are the state now.
type Stats struct {
	Requests    []RequestCount // all that occurred, by path and status
	Downloads   uint64         // whole blobs sent to their end
	BytesOut    uint64         // bytes of blobs that the kernel took
	SlowReaders uint64         // answers that were cut because the reader was too slow
	Refused     uint64         // connections beyond MaxConnections
	Panics      uint64
	Errors      map[string]uint64 // by error_type; every type is there from the start

	Queue       int64 // requests that wait for a slot
	InFlight    int64 // requests that have one
	Sending     int64 // answers whose body is on its way
	Connections int64
}

// counters is what Stats is made from.
type counters struct {
	requests    [routeCount][len(statuses)]atomic.Uint64
	downloads   atomic.Uint64
	bytesOut    atomic.Uint64
	slowReaders atomic.Uint64
	refused     atomic.Uint64
	panics      atomic.Uint64
	errors      *serving.ErrorCounts
	sending     atomic.Int64
	connections atomic.Int64
}

func (c *counters) request(r route, status int) {
	for i, s := range statuses {
		if s == status {
			c.requests[r][i].Add(1)
			return
		}
	}
	panic("http: an answer with a status that is not in the list")
}

func (c *counters) failure(err error) { c.errors.Count(err) }

// Stats is what the server did so far, and does now.
func (s *Handler) Stats() Stats {
	out := Stats{
		Downloads:   s.count.downloads.Load(),
		BytesOut:    s.count.bytesOut.Load(),
		SlowReaders: s.count.slowReaders.Load(),
		Refused:     s.count.refused.Load(),
		Panics:      s.count.panics.Load(),
		Errors:      s.count.errors.Snapshot(),
		Queue:       s.slots.Waiting(),
		InFlight:    int64(s.slots.InUse()),
		Sending:     s.count.sending.Load(),
		Connections: s.count.connections.Load(),
	}
	for r := range routeCount {
		for i, status := range statuses {
			if n := s.count.requests[r][i].Load(); n > 0 {
				out.Requests = append(out.Requests, RequestCount{Path: r.String(), Status: status, Count: n})
			}
		}
	}
	return out
}
