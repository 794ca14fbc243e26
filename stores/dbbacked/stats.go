package dbbacked

import (
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/metadata/journal"
)

// followStats counts what the catalogue was told behind.
type followStats struct {
	batches, puts, gone, uses atomic.Uint64
	comparing                 atomic.Bool
	compared, differences     atomic.Int64
	lastCompared              atomic.Int64 // Unix time in nanoseconds, or 0
}

// Stats is a snapshot.
type Stats struct {
	Journal journal.Stats // zero without one; Whole says that the catalogue lacks nothing but the journal's entries

	Errors  uint64        // calls of the catalogue that failed
	Failing time.Duration // for how long it has been failing; 0 while it answers

	Batches uint64 // that the catalogue was told behind
	Puts    uint64 // blobs in them that came
	Gone    uint64 // blobs in them that went
	Touches uint64 // accesses in them
	Dropped uint64 // accesses that were not noted anywhere

	Comparing    bool          // store and catalogue are being compared now
	Compared     int64         // blobs that the comparison under way, or the last one, has looked at
	Differences  int64         // that the last one found
	LastCompared time.Duration // since its end; 0 before the first one
}

// Stats may be asked for at any time.
func (s *Store) Stats() Stats {
	st := Stats{
		Errors:  s.health.errors.Load(),
		Batches: s.follow.batches.Load(), Puts: s.follow.puts.Load(), Gone: s.follow.gone.Load(), Touches: s.follow.uses.Load(),
		Dropped:   s.touches.dropped.Load(),
		Comparing: s.follow.comparing.Load(), Compared: s.follow.compared.Load(), Differences: s.follow.differences.Load(),
	}
	if since := s.health.failing(); !since.IsZero() {
		st.Failing = time.Since(since)
	}
	if at := s.follow.lastCompared.Load(); at != 0 {
		st.LastCompared = time.Since(time.Unix(0, at))
	}
	if s.journal != nil {
		st.Journal = s.journal.Stats()
		st.Dropped += st.Journal.Dropped
	}
	return st
}
