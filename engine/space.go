package engine

import (
	"context"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// indexReserve is kept free for what the index may write before it is measured again: memtables with their logs, and a
// flush. A compaction writes its output before it removes its inputs; compactReserve bounds what is kept for that, and
// while the tables are few they need no more than they take themselves.
const (
	indexReserve   = 24 << 20
	compactReserve = 40 << 20
)

// reserved is what is kept for the index now.
func (e *Engine) reserved() int64 {
	return indexReserve + min(e.indexBytes.Load(), compactReserve)
}

// reserveWait bounds how long a Put waits for room before it gives up and the blob passes through.
const reserveWait = 2 * time.Second

// activeCharge is what an active segment accounts for: all of its payload and its whole table.
func activeCharge(capacity int64) int64 {
	return segments.TableBytes(uint32(capacity/segments.BlockSize)) + capacity
}

// sealedCharge is what a segment accounts for once its tail was given back and its dead were punched.
func sealedCharge(row index.SegmentRow) int64 {
	return segments.TableBytes(row.Slots) + row.LiveBytes
}

// charge changes what a segment accounts for.
func (e *Engine) charge(s *seg, by int64) {
	s.charged.Add(by)
	e.charged.Add(by)
}

func (e *Engine) setCharge(s *seg, to int64) {
	e.charged.Add(to - s.charged.Swap(to))
}

// used is what the mount accounts for now, in bytes: segments, index, the index's reserve, what lies in quarantine, and
// what others keep beside.
func (e *Engine) used() int64 {
	return e.charged.Load() + e.indexBytes.Load() + e.aside.Load() + e.beside.bytes.Load() + e.reserved()
}

// asideShare is the part of the limit that may lie in quarantine: one over it.
const asideShare = 16

// measureAside reads what lies in quarantine. That changes only when this process puts something there, or at a restart.
func (e *Engine) measureAside() {
	n, err := e.mnt.QuarantineBytes()
	if err != nil {
		e.ioError("usage", err)
	}
	e.aside.Store(n)
}

// trimAside deletes the oldest things in quarantine where they take more than their share of the limit: what is there
// serves whoever looks for a cause, and must not crowd out the cache.
func (e *Engine) trimAside() {
	if !e.measured.Load() {
		return
	}
	most := max(0, e.limit.Load()/asideShare)
	if e.aside.Load() <= most {
		return
	}
	left, err := e.mnt.TrimQuarantine(most)
	if err != nil {
		e.ioError("quarantine", err)
	}
	e.log.Warn("the oldest things in quarantine were deleted: they took more than their share of the limit",
		"dir", e.mnt.QuarantineDir(), "bytes", e.aside.Load(), "left", left, "may_take", most, "err", err)
	e.aside.Store(left)
	e.measure()
}

// measure reads anew what others can change: the size of the index, and the room on the file system.
func (e *Engine) measure() {
	e.indexBytes.Store(e.ix.Stats().DiskBytes)
	e.beside.measure()
	u, err := e.o.FS.Usage(e.o.Dir)
	if err != nil {
		e.ioError("usage", err)
		return
	}
	e.fsFree.Store(u.Free)
	floor := e.o.MinFree
	if floor == 0 {
		floor = max(u.Total/100, defaultMinFree)
	}
	limit := e.charged.Load() + e.indexBytes.Load() + e.aside.Load() + e.beside.bytes.Load() + u.Free - floor
	if e.o.MaxSize > 0 {
		limit = min(limit, e.o.MaxSize)
	}
	e.limit.Store(limit)
	e.measured.Store(true)
}

// headroom is what eviction keeps free, so that segments can be created without waiting for it.
func (e *Engine) headroom() int64 {
	return activeCharge(e.o.SegmentSize)
}

// excess is how many bytes eviction still has to find. What is on its way to be given back counts as found.
func (e *Engine) excess() int64 {
	if !e.measured.Load() {
		return 0 // the file system has yet to say how much room there is: nothing is evicted for that
	}
	missing := int64(max(0, e.o.ActiveSegments-e.act.count()))
	want := e.headroom() * max(1, missing)
	return e.used() - e.pending.Load() + want - e.limit.Load()
}

// reserve claims a slot and room for n bytes in an active segment, waiting shortly for one to be created.
func (e *Engine) reserve(ctx context.Context, n uint32) (*seg, segments.Location, error) {
	if s, loc, ok := e.act.reserve(e, n); ok {
		return s, loc, nil
	}
	e.short.Add(1)
	defer e.short.Add(-1)
	timeout := time.NewTimer(reserveWait)
	defer timeout.Stop()
	for {
		ready := e.act.changed()
		if s, loc, ok := e.act.reserve(e, n); ok {
			return s, loc, nil
		}
		poke(e.rollNow)
		if err := e.act.refusal(); err != nil {
			e.stats.rejected.Add(1)
			return nil, segments.Location{}, err
		}
		select {
		case <-ready:
		case <-timeout.C:
			e.stats.rejected.Add(1)
			return nil, segments.Location{}, blob.ErrFull
		case <-ctx.Done():
			return nil, segments.Location{}, context.Cause(ctx)
		case <-e.stopping:
			return nil, segments.Location{}, errClosed
		}
	}
}
