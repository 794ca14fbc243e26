package disk

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// faultKinds are the kinds of faults; each is in Stats.IOErrors from the start.
var faultKinds = [...]string{"read", "corrupt", "write", "sync", "unlink", "close", "usage", "index", "walk"}

type counters struct {
	hits, hitBytes, misses, puts, putBytes, putting, rejected, deletes atomic.Int64
	evicted, evictedBytes, kept, lastEvictedAge                        atomic.Int64
	quarantined, recovered                                             atomic.Int64
	openTime                                                           time.Duration

	mu     sync.Mutex
	faults map[string]int64
}

func (c *counters) init() {
	c.faults = make(map[string]int64, len(faultKinds))
	for _, kind := range faultKinds {
		c.faults[kind] = 0
	}
}

// fault counts an error by its kind; nil is none.
func (s *files) fault(kind string, err error) {
	if err == nil || errors.Is(err, errClosed) {
		return
	}
	s.stats.mu.Lock()
	s.stats.faults[kind]++
	s.stats.mu.Unlock()
}

// Stats is a snapshot. There are no segments; RecoveredBlobs counts files that were proven by reading them, and
// Quarantined those that were deleted for what they held.
func (s *files) Stats() engine.Stats {
	c, total := &s.stats, s.com.totals()
	c.mu.Lock()
	faults := maps.Clone(c.faults)
	c.mu.Unlock()
	st := engine.Stats{
		Dir: s.root, OpenTime: c.openTime, Reserve: indexReserve,
		Blobs: total.LiveBlobs, LiveBytes: total.LiveBytes, SDBytes: total.SDBytes,
		Hits: c.hits.Load(), HitBytes: c.hitBytes.Load(), Misses: c.misses.Load(),
		Puts: c.puts.Load(), PutBytes: c.putBytes.Load(), PutsInFlight: c.putting.Load(),
		Rejected: c.rejected.Load(), Deletes: c.deletes.Load(),
		Evicted: c.evicted.Load(), EvictedBytes: c.evictedBytes.Load(), Kept: c.kept.Load(),
		LastEvictedAge: time.Duration(c.lastEvictedAge.Load()),
		Quarantined:    c.quarantined.Load(), RecoveredBlobs: c.recovered.Load(),
		IOErrors: faults, IndexFailed: s.ix.Err() != nil,
		Pinned: s.Pinned(), ColdBuffers: s.proofs.Out(), Pebble: s.ix.Stats(),
	}
	select {
	case <-s.walked:
	default:
		st.Recovering = true
	}
	p := &s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	st.Limit, st.Used, st.Index, st.Pending, st.FSFree = p.limit, p.usedLocked(), p.index, p.grabbed, p.free
	st.Full = p.stuck
	return st
}

// suspect makes a blob unproven, behind. With the queue full the next reader finds it again.
func (s *files) suspect(h blob.Hash) {
	select {
	case s.suspects <- h:
	default:
	}
}

// unstickEvery is how many ticks puts are turned away after nothing could be evicted.
const unstickEvery = 5

// keepLoop syncs, measures, and takes back trust.
func (s *files) keepLoop() {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stopping.Done():
			return
		case <-tick.C:
			s.keep(n)
		case <-s.flushNow:
			s.flushOrLog()
		case h := <-s.suspects:
			s.distrust(h)
		}
	}
}

func (s *files) keep(n int) {
	if s.sync != engine.SyncNever {
		s.flushOrLog()
	}
	s.measure()
	s.touched.grow(s.com.totals().LiveBlobs)
	if n%unstickEvery == 0 {
		s.space.setStuck(false)
	}
	if s.space.excess() > 0 {
		poke(s.evictNow)
	}
}

func (s *files) flushOrLog() {
	if s.ix.Err() != nil {
		return
	}
	if err := s.flush(); err != nil {
		s.log.Error("what was put could not be made durable", "err", err)
	}
}

// distrust makes a blob's file be read whole before it is served again.
func (s *files) distrust(h blob.Hash) {
	defer s.locks.lockAll([]blob.Hash{h})()
	s.open.remove(h, 0)
	s.unsynced.drop(h)
	row, known := s.row(h)
	if !known || !proven(row) {
		return
	}
	now := row
	now.Seq &^= seqProven
	if err := s.commitRow(h, &row, &now, false); err != nil {
		s.log.Error("a file that could not be read keeps its proof", "path", s.dir.Path(h), "err", err)
	}
}
