package engine

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/evict"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// maxVictims bounds the records that one synced commit evicts or keeps.
const maxVictims = 256

// measureEvery is how often the evictor looks at the file system and the size of the index.
const measureEvery = time.Second

// evictLoop keeps the headroom free. It begins once recovery is done: before that the order is not whole.
func (e *Engine) evictLoop() {
	select {
	case <-e.recovered:
	case <-e.stopping:
		return
	}
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		e.evictExcess()
		select {
		case <-e.stopping:
			return
		case <-tick.C:
			e.measure()
			if e.act.count() < e.o.ActiveSegments {
				poke(e.rollNow)
			}
		case <-e.evictNow:
		}
	}
}

// evictExcess evicts until nothing is missing. When a whole pass over the order finds nothing to evict, puts are
// turned away until something changes.
func (e *Engine) evictExcess() {
	if e.o.KeepAll {
		e.refuseIfFull()
		return
	}
	passes := 0
	last := e.seq.Load() // a pass ends where it began to keep records: those stand behind it in the order
	for e.excess() > 0 && e.running() {
		b, err := e.choose(e.excess(), last, passes > 0)
		gone := 0
		if err == nil {
			gone, err = e.evictBatch(b)
		}
		if err != nil {
			if !errors.Is(err, errIndexFailed) && !errors.Is(err, errClosed) {
				e.log.Error("eviction stopped", "dir", e.o.Dir, "err", err)
			}
			return
		}
		if gone > 0 {
			passes = 0
			continue
		}
		if b.end {
			if passes++; passes > 1 {
				e.refuseIfFull()
				return
			}
			e.evictFrom, last = 0, e.seq.Load()
		}
	}
}

// refuseIfFull turns puts away while there is no room for a segment, nor about to be.
func (e *Engine) refuseIfFull() {
	if e.measured.Load() && e.used()+activeCharge(e.o.SegmentSize)-e.pending.Load() > e.limit.Load() {
		e.act.setRefusal(blob.ErrFull)
	}
}

// victim is a record as the order showed it.
type victim struct {
	hash blob.Hash
	row  index.OrderRow
	seg  *seg
	time uint32
}

// batch is what one commit of the evictor does.
type batch struct {
	evict, keep []victim
	dangling    []index.OrderRow // point at nothing that can be read
	end         bool             // the order ended
	next        uint64
}

// choose walks the order from where the last batch ended, until it has found `want` bytes or passed sequence `last`.
// With hard set, a pass has found nothing: SD blobs are then like others.
func (e *Engine) choose(want int64, last uint64, hard bool) (batch, error) {
	b := batch{next: e.evictFrom}
	cur, err := e.ix.Cursor(e.evictFrom)
	if err != nil {
		return b, e.indexError(err)
	}
	defer cur.Close()
	space := evict.Space{Limit: e.limit.Load(), SD: e.sdBytes.Load()}
	for len(b.evict)+len(b.keep)+len(b.dangling) < maxVictims && want > 0 {
		row, ok := cur.Next()
		if !ok || row.Seq > last {
			b.end = true
			break
		}
		b.next = row.Seq + 1
		v, rec, ok, err := e.examine(row)
		if err != nil {
			return b, err
		}
		if !ok {
			b.dangling = append(b.dangling, row)
			continue
		}
		c := evict.Candidate{Size: segments.Blocks(rec.Length), Kind: rec.Kind, Touched: v.seg.Touched(row.Slot)}
		if hard {
			c.Kind = blob.KindContent
		}
		if e.policy.Judge(c, space) == evict.Keep {
			b.keep = append(b.keep, v)
			continue
		}
		if rec.Kind == blob.KindSD {
			space.SD -= c.Size
		}
		b.evict = append(b.evict, v)
		want -= c.Size
	}
	if err := cur.Err(); err != nil {
		return b, e.indexError(err)
	}
	return b, nil
}

// examine reads the slot that an order row points at: the row itself does not carry the hash. It says false when there
// is no such record; an error is about the process, and says nothing about the record.
func (e *Engine) examine(row index.OrderRow) (victim, segments.Record, bool, error) {
	s := e.segs.get(row.Segment)
	if s == nil {
		return victim{}, segments.Record{}, false, nil
	}
	rec, err := s.ReadSlot(row.Slot)
	if err == nil {
		return victim{hash: rec.Hash, row: row, seg: s, time: rec.Time}, rec, true, nil
	}
	e.ioError("read", err)
	if errors.Is(err, segments.ErrBadSlot) || errors.Is(err, segments.ErrBadHeader) || errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrNotExist) {
		return victim{}, segments.Record{}, false, nil
	}
	return victim{}, segments.Record{}, false, err
}

// evictBatch commits a batch, in one sync, and buries what it evicted. It returns how many records are gone.
func (e *Engine) evictBatch(b batch) (int, error) {
	if len(b.evict)+len(b.keep)+len(b.dangling) == 0 {
		e.evictFrom = b.next
		return 0, nil
	}
	var gone []removed
	err := e.commit(&change{sync: len(b.evict) > 0, apply: func(g *group) {
		for _, v := range b.evict {
			r, ok := g.remove(v.hash, func(now index.Entry) bool { return now.Seq == v.row.Seq })
			if ok {
				gone = append(gone, r)
			}
		}
		for _, v := range b.keep {
			v.seg.Untouch(v.row.Slot)
			g.restamp(v.hash, v.row.Seq)
		}
	}})
	if errors.Is(err, errIndexFailed) || errors.Is(err, errClosed) {
		return 0, err
	}
	for _, r := range gone { // whatever a look-up of another one came to
		e.bury(r)
		e.stats.evicted.Add(1)
		e.stats.evictedBytes.Add(int64(r.entry.Length))
	}
	if err != nil {
		return len(gone), err
	}
	if len(b.dangling) > 0 {
		e.dropRows(b.dangling)
	}
	for _, row := range b.dangling { // what lies there could not be marked dead
		if s := e.segs.get(row.Segment); s != nil {
			s.owes.Store(true)
		}
	}
	e.evictFrom = b.next
	e.stats.kept.Add(int64(len(b.keep)))
	if n := len(b.evict); n > 0 {
		e.stats.lastEvictedAge.Store(int64(max(0, time.Since(time.Unix(int64(b.evict[n-1].time), 0)))))
	}
	return len(gone), nil
}
