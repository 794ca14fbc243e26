package reflector

import "sync/atomic"

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
	errors  [errorTypeCount]atomic.Uint64
}

func (c *counters) failure(err error) { c.errors[typeOf(err)].Add(1) }

// Stats is what the server did so far, and does now.
func (s *Server) Stats() Stats {
	out := Stats{
		Blobs:       s.count.blobs.Load(),
		SDBlobs:     s.count.sdBlobs.Load(),
		BytesIn:     s.count.bytesIn.Load(),
		Refused:     s.count.refused.Load(),
		Panics:      s.count.panics.Load(),
		Errors:      make(map[string]uint64, errorTypeCount),
		Connections: int64(s.places.inUse()),
		Uploads:     int64(s.bodies.Out()),
	}
	for i, name := range errorTypes {
		out.Errors[name] = s.count.errors[i].Load()
	}
	return out
}
