package reflector

import (
	"sync/atomic"

	"github.com/OdyseeTeam/prism/internal/serving"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// Stats is a snapshot of a server. Counters never fall; the others are the state now.
type Stats struct {
	Blobs   uint64 // content blobs that the store took
	SDBlobs uint64
	BytesIn uint64 // of bodies, whatever became of them
	Refused uint64 // connections beyond MaxConnections or MaxPerAddress
	Panics  uint64
	Errors  map[string]uint64 // by error_type; every type is there from the start

	Connections int64
	Uploads     int64 // bodies that have a place: on their way, or being put
}

// counters is what Stats is made from.
type counters struct {
	blobs   atomic.Uint64
	sdBlobs atomic.Uint64
	bytesIn atomic.Uint64
	refused atomic.Uint64
	panics  atomic.Uint64
	errors  *serving.ErrorCounts
}

// newErrorCounts knows the errors of this protocol.
func newErrorCounts() *serving.ErrorCounts {
	return serving.NewErrorCounts(
		serving.ErrorType{Is: wire.ErrTooLong, Name: "request_too_large"},
		serving.ErrorType{Is: wire.ErrSyntax, Name: "json_syntax"},
		serving.ErrorType{Is: stream.ErrNotSD, Name: "json_syntax"},
	)
}

// Stats is what the server did so far, and does now.
func (s *Server) Stats() Stats {
	return Stats{
		Blobs:       s.count.blobs.Load(),
		SDBlobs:     s.count.sdBlobs.Load(),
		BytesIn:     s.count.bytesIn.Load(),
		Refused:     s.count.refused.Load(),
		Panics:      s.count.panics.Load(),
		Errors:      s.count.errors.Snapshot(),
		Connections: int64(s.places.inUse()),
		Uploads:     int64(s.bodies.Out()),
	}
}
