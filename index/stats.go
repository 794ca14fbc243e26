package index

import "github.com/cockroachdb/pebble/v2"

// Stats is a snapshot of what the index takes and does. All sizes are in bytes.
type Stats struct {
	DiskBytes  int64 // all files in the folder as they lie on disk, obsolete ones included
	LogBytes   int64 // of it, logs
	TableBytes int64 // of it, tables

	IOErrors    int64 // calls of the file system that failed, harmless ones included: a file that cannot be removed, …
	SlowWrites  int64 // writes, syncs and renames that took longer than 5 s
	WriteStalls int64 // times that commits had to wait for flushes or compactions
	Flushes     int64 // memtables that were made tables
	Compactions int64

	// The following are 0 once the index failed.

	CacheBytes     int64 // in use
	CacheHits      int64
	CacheMisses    int64
	MemTableBytes  int64 // reserved for rows that are in no table yet
	CompactionDebt int64 // tables that are to be rewritten before the index is at rest
	EstimatedBlobs int64 // from the size of the tables alone: segment rows know better
}

// blobTableBytes is what one blob takes in tables that are compacted, about.
const blobTableBytes = 80

// Stats may be asked for at any time; it does not touch the disk.
func (x *Index) Stats() Stats {
	u := x.guard.Usage()
	s := Stats{
		DiskBytes:   u.Total,
		LogBytes:    u.Log,
		TableBytes:  u.Tables,
		IOErrors:    x.guard.Faults(),
		SlowWrites:  x.events.slowWrites.Load(),
		WriteStalls: x.events.writeStalls.Load(),
		Flushes:     x.events.flushes.Load(),
		Compactions: x.events.compactions.Load(),
	}
	m := x.metrics()
	if m == nil {
		return s
	}
	s.CacheBytes = m.BlockCache.Size
	s.CacheHits = m.BlockCache.Hits
	s.CacheMisses = m.BlockCache.Misses
	s.MemTableBytes = int64(m.MemTable.Size)
	s.CompactionDebt = int64(m.Compact.EstimatedDebt)
	s.EstimatedBlobs = m.Total().TablesSize / blobTableBytes
	return s
}

// metrics asks Pebble, or gives nil when it does not answer any more: it takes the lock under which it may have halted.
func (x *Index) metrics() *pebble.Metrics {
	if x.Err() != nil || !x.writes.enter() {
		return nil
	}
	done := make(chan *pebble.Metrics, 1)
	go func() {
		defer x.writes.leave()
		done <- x.db.Metrics()
	}()
	select {
	case m := <-done:
		return m
	case <-x.Failed():
		return nil
	}
}

// Tables are the names of the tables that hold rows, in the folder of the index. There may be others, which nothing names.
// Errors: ErrClosed, or the index's.
func (x *Index) Tables() (map[string]bool, error) {
	if !x.reads.enter() {
		return nil, ErrClosed
	}
	defer x.reads.leave()
	levels, err := x.db.SSTables()
	if err != nil {
		return nil, readError("list tables", err)
	}
	names := map[string]bool{}
	for _, tables := range levels {
		for _, t := range tables {
			names[t.BackingSSTNum.String()+".sst"] = true
		}
	}
	return names, nil
}
