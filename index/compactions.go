package index

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets one compaction run at a time, and none once the index failed: Pebble would repeat for ever one whose
// tables cannot be read. It takes the place of Pebble's own scheduler, which in addition wakes up ten times a second.
//
// Pebble calls TrySchedule with its lock held, so mu is taken after that lock and never held in a call to db.
type compactions struct {
	failed <-chan struct{}
	db     pebble.DBForCompaction // set once, before anything else is called

	mu       sync.Mutex
	idle     sync.Cond // granting became 0
	busy     bool      // a compaction runs, or is about to
	gone     bool
	granting int // calls of Done that may still call db
}

func newCompactions(failed <-chan struct{}) *compactions {
	c := &compactions{failed: failed}
	c.idle.L = &c.mu
	return c
}

// Register is part of pebble.CompactionScheduler.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister is part of pebble.CompactionScheduler. It waits for calls to db to end.
func (c *compactions) Unregister() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for c.granting > 0 {
		c.idle.Wait()
	}
}

// TrySchedule is part of pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !c.claim() {
		return false, nil
	}
	return true, c
}

// UpdateGetAllowedWithoutPermission is part of pebble.CompactionScheduler. What is allowed never changes here.
func (c *compactions) UpdateGetAllowedWithoutPermission() {}

// claim takes the one place.
func (c *compactions) claim() bool {
	select {
	case <-c.failed:
		return false
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.gone {
		return false
	}
	c.busy = true
	return true
}

func (c *compactions) yield() {
	c.mu.Lock()
	c.busy = false
	c.mu.Unlock()
}

// Started is part of pebble.CompactionGrantHandle.
func (c *compactions) Started() {}

// MeasureCPU is part of pebble.CompactionGrantHandle.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats is part of pebble.CompactionGrantHandle.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done is part of pebble.CompactionGrantHandle: the compaction ended, and the next may begin. One that was refused
// meanwhile waits for this call.
func (c *compactions) Done() {
	c.mu.Lock()
	c.busy = false
	if c.gone {
		c.mu.Unlock()
		return
	}
	c.granting++
	c.mu.Unlock()

	if waiting, _ := c.db.GetWaitingCompaction(); waiting && c.claim() {
		if !c.db.Schedule(c) {
			c.yield()
		}
	}

	c.mu.Lock()
	c.granting--
	if c.granting == 0 {
		c.idle.Broadcast()
	}
	c.mu.Unlock()
}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)
