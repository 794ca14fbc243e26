package peerd

import (
	"sync/atomic"

	"github.com/OdyseeTeam/prism/internal/serving"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// Stats is a snapshot of a server. Counters never fall; the others are the state now.
type Stats struct {
	Requests    uint64 // messages that were understood
	Downloads   uint64 // blobs sent to their end
	BytesOut    uint64 // bytes of blobs that the kernel took
	SlowReaders uint64 // answers that were cut because the reader was too slow
	Refused     uint64 // connections beyond the limits
	Panics      uint64
	Errors      map[string]uint64 // by error_type; every type is there from the start

	Queue       int64 // requests that wait for a slot
	InFlight    int64 // requests that have one
	Sending     int64 // answers whose body is on its way
	Connections int64
}

// counters is what Stats is made from.
type counters struct {
	requests    atomic.Uint64
	downloads   atomic.Uint64
	bytesOut    atomic.Uint64
	slowReaders atomic.Uint64
	refused     atomic.Uint64
	panics      atomic.Uint64
	errors      *serving.ErrorCounts
	sending     atomic.Int64
	connections atomic.Int64
}

// newErrorCounts has the types of this protocol.
func newErrorCounts() *serving.ErrorCounts {
	return serving.NewErrorCounts(
		serving.ErrorType{Is: peer.ErrTooLarge, Name: "request_too_large"},
		serving.ErrorType{Is: peer.ErrTooDeep, Name: "invalid_peer_json"},
		serving.ErrorType{Is: peer.ErrSyntax, Name: "invalid_peer_json"},
		serving.ErrorType{Is: peer.ErrNotObject, Name: "invalid_peer_data"},
		serving.ErrorType{Is: peer.ErrMalformed, Name: "invalid_peer_data"},
	)
}

// Stats is what the server did so far, and does now.
func (s *Server) Stats() Stats {
	return Stats{
		Requests:    s.count.requests.Load(),
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
}
