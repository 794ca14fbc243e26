package engine

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/index"
)

// Stats is a snapshot of an engine. Sizes are in bytes; counters count from Open.
type Stats struct {
	Dir      string
	OpenTime time.Duration

	// Space.
	Limit   int64 // what the mount may use now: max_size, or less where min_free says so
	Used    int64 // what it accounts for, Index and Reserve included
	Index   int64 // the index on disk
	Reserve int64 // kept for the index's compactions
	Pending int64 // of Used: dead and about to be given back
	Aside   int64 // of Used: in quarantine
	FSFree  int64 // free on the file system

	// Content.
	Blobs, LiveBytes, SDBytes int64
	Segments                  map[string]int // by state: active, sealing, sealed, doomed, failed

	// Work.
	Hits, HitBytes, Misses        int64
	Puts, PutBytes, PutsInFlight  int64
	Rejected                      int64 // puts turned away: full, or a failing disk
	Deletes                       int64
	Evicted, EvictedBytes, Kept   int64
	LastEvictedAge                time.Duration // of the last evicted blob, since it was written
	Punched, Unlinked             int64         // ranges and segments given back
	Quarantined, RecoveredBlobs   int64
	IOErrors                      map[string]int64 // by kind
	Recovering, IndexFailed, Full bool

	Scrub ScrubStats

	Open        int // segments that are open and mapped
	Pinned      int // handles that are out
	ColdBuffers int // buffers of cold reads that are out
	Pebble      index.Stats
}

// ioKinds are the kinds of faults; each is in Stats.IOErrors from the start.
var ioKinds = [...]string{"read", "corrupt", "write", "sync", "create", "truncate", "punch", "unlink", "close", "usage", "index", "recover", "quarantine"}

type counters struct {
	hits, hitBytes, misses, puts, putBytes, putting, rejected, deletes atomic.Int64
	evicted, evictedBytes, kept, lastEvictedAge, punched, unlinked     atomic.Int64
	quarantined, recoveredBlobs, openTime                              atomic.Int64

	mu     sync.Mutex
	faults map[string]int64
}

func (c *counters) init() {
	c.faults = map[string]int64{}
	for _, k := range ioKinds {
		c.faults[k] = 0
	}
}

func (c *counters) ioError(kind string) {
	c.mu.Lock()
	c.faults[kind]++
	c.mu.Unlock()
}

// Pinned is the number of handles that were not released.
func (e *Engine) Pinned() int {
	n := 0
	for _, s := range e.segs.all() {
		n += s.Pins()
	}
	return n
}

// Stats is a snapshot.
func (e *Engine) Stats() Stats {
	c := &e.stats
	c.mu.Lock()
	faults := maps.Clone(c.faults)
	c.mu.Unlock()
	return Stats{
		Dir: e.o.Dir, OpenTime: time.Duration(c.openTime.Load()),
		Limit: e.limit.Load(), Used: e.used(), Index: e.indexBytes.Load(), Reserve: e.reserved(),
		Pending: e.pending.Load(), Aside: e.aside.Load(), FSFree: e.fsFree.Load(),
		Blobs: e.blobs.Load(), LiveBytes: e.liveBytes.Load(), SDBytes: e.sdBytes.Load(), Segments: e.segmentStates(),
		Hits: c.hits.Load(), HitBytes: c.hitBytes.Load(), Misses: c.misses.Load(),
		Puts: c.puts.Load(), PutBytes: c.putBytes.Load(), PutsInFlight: c.putting.Load(),
		Rejected: c.rejected.Load(), Deletes: c.deletes.Load(),
		Evicted: c.evicted.Load(), EvictedBytes: c.evictedBytes.Load(), Kept: c.kept.Load(),
		LastEvictedAge: time.Duration(c.lastEvictedAge.Load()),
		Punched:        c.punched.Load(), Unlinked: c.unlinked.Load(),
		Quarantined: c.quarantined.Load(), RecoveredBlobs: c.recoveredBlobs.Load(),
		IOErrors: faults, Recovering: e.recovering(), IndexFailed: e.ix.Err() != nil, Full: e.act.refusal() != nil,
		Scrub: e.scrubStats(),
		Open:  e.files.Open(), Pinned: e.Pinned(), ColdBuffers: e.bufs.Out(), Pebble: e.ix.Stats(),
	}
}

func (e *Engine) segmentStates() map[string]int {
	n := map[string]int{"active": 0, "sealing": 0, "sealed": 0, "doomed": 0, "failed": 0}
	for _, s := range e.segs.all() {
		s.mu.Lock()
		sealing := s.sealing
		s.mu.Unlock()
		switch row := e.rowOf(s); {
		case row.State == index.StateFailed:
			n["failed"]++
		case row.State == index.StateDoomed:
			n["doomed"]++
		case sealing:
			n["sealing"]++
		case row.State == index.StateActive:
			n["active"]++
		default:
			n["sealed"]++
		}
	}
	return n
}
