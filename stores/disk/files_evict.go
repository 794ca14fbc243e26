package disk

import (
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/evict"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// maxVictims bounds the blobs that one synced commit evicts or keeps.
const maxVictims = 128

// evictLoop keeps room free ahead of puts. It begins when some walk has ended: before that the order is not whole.
func (s *files) evictLoop() {
	for {
		select {
		case <-s.stopping.Done():
			return
		case <-s.evictNow:
		}
		if s.complete.Load() && !s.space.isStuck() {
			s.evictExcess()
		}
	}
}

// evictExcess evicts until nothing is missing. A pass over the order ends at what was the youngest blob when it began:
// what it keeps goes behind that. When two whole passes find nothing to evict, puts are turned away for a while.
func (s *files) evictExcess() {
	if s.keepAll {
		return // puts are turned away where there is no room: see tryReserve
	}
	passes, youngest := 0, s.seq.next()
	for s.space.excess() > 0 && s.stopping.Err() == nil {
		b, err := s.chooseVictims(s.space.excess(), youngest)
		if err == nil {
			err = s.evictBatch(b)
		}
		if err != nil {
			s.log.Error("eviction stopped", "err", err)
			return
		}
		if s.evictFrom = b.next; len(b.evict) > 0 {
			passes = 0
		}
		if !b.end {
			continue
		}
		if passes++; passes > 2 {
			s.space.setStuck(true)
			return
		}
		s.evictFrom, youngest = 0, s.seq.next()
	}
}

// victim is a blob with its row, as the order showed them.
type victim struct {
	hash blob.Hash
	row  index.Entry
}

// victims is what one commit of the evictor does.
type victims struct {
	evict, keep []victim
	end         bool   // the order ended
	next        uint64 // where to go on
}

// chooseVictims walks the order from where the last batch ended up to the youngest, until it has found `want` bytes.
func (s *files) chooseVictims(want int64, youngest uint64) (victims, error) {
	b := victims{next: s.evictFrom}
	cur, err := s.ix.Cursor(s.evictFrom)
	if err != nil {
		return b, err
	}
	defer cur.Close()
	space := evict.Space{Limit: s.space.bound(), SD: s.com.totals().SDBytes}
	for len(b.evict)+len(b.keep) < maxVictims && want > 0 {
		at, ok := cur.Next()
		if !ok || at.Seq > youngest|seqProven {
			b.end = true
			break
		}
		b.next = at.Seq + 1
		row, known := s.row(at.Hash)
		if !known || row.Seq != at.Seq {
			continue // it changed meanwhile
		}
		c := evict.Candidate{
			Size:    segments.Blocks(row.Length),
			Kind:    row.Kind,
			Touched: s.touched.has(at.Hash) || s.open.reading(at.Hash),
		}
		if s.policy.Judge(c, space) == evict.Keep {
			b.keep = append(b.keep, victim{at.Hash, row})
			continue
		}
		if row.Kind == blob.KindSD {
			space.SD -= c.Size
		}
		b.evict = append(b.evict, victim{at.Hash, row})
		want -= c.Size
	}
	return b, cur.Err()
}

// evictBatch commits a batch, in one sync, and then removes the files.
func (s *files) evictBatch(b victims) error {
	if len(b.evict)+len(b.keep) == 0 {
		return nil
	}
	hashes := make([]blob.Hash, 0, maxVictims)
	for _, v := range b.evict {
		hashes = append(hashes, v.hash)
	}
	for _, v := range b.keep {
		hashes = append(hashes, v.hash)
	}
	defer s.locks.lockAll(hashes)()
	c := &change{sync: len(b.evict) > 0}
	var gone []victim
	grabbed := int64(0)
	for _, v := range b.evict {
		if row, known := s.row(v.hash); known && row == v.row {
			s.unsynced.drop(v.hash)
			c.rows = append(c.rows, rowChange{v.hash, &v.row, nil})
			gone = append(gone, v)
			grabbed += segments.Blocks(v.row.Length)
		}
	}
	kept := 0
	for _, v := range b.keep {
		if row, known := s.row(v.hash); known && row == v.row {
			now := row
			now.Seq = s.seq.next() | row.Seq&seqProven
			c.rows = append(c.rows, rowChange{v.hash, &v.row, &now})
			s.touched.clear(v.hash)
			kept++
		}
	}
	s.space.grab(grabbed)
	if err := s.commit(c); err != nil {
		s.space.ungrab(grabbed)
		return err
	}
	for _, v := range gone {
		// Not durable: a power cut may bring the file back, for the next walk to find.
		_ = s.removeFile(v.hash, segments.Blocks(v.row.Length), s.dir.Unlink)
		s.stats.evicted.Add(1)
		s.stats.evictedBytes.Add(int64(v.row.Length))
		s.stats.lastEvictedAge.Store(int64(seqAge(v.row.Seq)))
	}
	s.stats.kept.Add(int64(kept))
	return nil
}
