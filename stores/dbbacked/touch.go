package dbbacked

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/prefetch"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/journal"
)

const (
	// maxTouches bounds the accesses that wait in memory. What comes on top is dropped, and noted at the next access.
	maxTouches = 1 << 16
	touchEvery = time.Second
	// minuteEvery is well below a minute: it is how late an access may look.
	minuteEvery = 10 * time.Second
)

// seen remembers which blobs an access was noted of in the last metadata.TouchInterval: a word for each of many slots,
// which the hash names, with a part of the hash and the minute. A blob that another has driven out is noted again, which
// the catalogue sorts out.
type seen struct {
	slots  []atomic.Uint64
	begin  time.Time
	minute atomic.Uint64 // since begin; minuteLoop moves it, so that a hit need not look at the clock
}

const (
	seenSlots    = 1 << 18
	seenMinutes  = 24 // bits of a word
	seenInterval = uint64(metadata.TouchInterval / time.Minute)
)

func (s *seen) init() {
	s.slots = make([]atomic.Uint64, seenSlots)
	s.begin = time.Now().Add(-metadata.TouchInterval) // no word that was never written is of now
	s.tick()
}

// slot is the place of a blob, and the part of its word that tells it from others.
func (s *seen) slot(h blob.Hash) (*atomic.Uint64, uint64) {
	n := binary.LittleEndian.Uint64(h[:])
	return &s.slots[n%seenSlots], binary.LittleEndian.Uint64(h[8:]) << seenMinutes
}

// tick brings the minute up to date. The clock is monotone.
func (s *seen) tick() { s.minute.Store(uint64(time.Since(s.begin) / time.Minute)) }

// expect is told of a blob before the store below is asked for it. A table of this size is not in the processor's cache:
// the wait for the blob's slot is most of what first costs, and passes meanwhile.
func (s *seen) expect(h blob.Hash) {
	if s.slots == nil {
		return
	}
	word, _ := s.slot(h)
	prefetch.Word(word)
}

// first says whether an access is the first one in a while, and notes it.
func (s *seen) first(h blob.Hash) bool {
	minute := s.minute.Load()
	word, tag := s.slot(h)
	last := word.Load()
	const low = 1<<seenMinutes - 1
	if last&^low == tag && minute-last&low < seenInterval && last != 0 {
		return false
	}
	return word.CompareAndSwap(last, tag|minute&low)
}

// forget has the next access noted again.
func (s *seen) forget(h blob.Hash) {
	word, _ := s.slot(h)
	word.Store(0)
}

// touches are the accesses that wait for the catalogue, where there is no journal.
type touches struct {
	mu      sync.Mutex
	waiting []metadata.Access
	dropped atomic.Uint64
}

// touch notes an access.
func (s *Store) touch(h blob.Hash) {
	if !s.seen.first(h) {
		return
	}
	if s.journal != nil {
		s.journal.Note(h, journal.Used)
		return
	}
	s.touches.mu.Lock()
	defer s.touches.mu.Unlock()
	if len(s.touches.waiting) == maxTouches {
		s.touches.dropped.Add(1)
		s.seen.forget(h)
		return
	}
	s.touches.waiting = append(s.touches.waiting, metadata.Access{Hash: h, At: time.Now()})
}

// minuteLoop keeps the minute of seen.
func (s *Store) minuteLoop() {
	for s.sleep(minuteEvery) {
		s.seen.tick()
	}
}

// touchLoop tells the catalogue of accesses in batches. What waits when the store closes is told then, if the catalogue
// answers.
func (s *Store) touchLoop() {
	retry := backoff{}
	wait := touchEvery
	for {
		more := s.sleep(wait)
		s.touches.mu.Lock()
		batch := s.touches.waiting
		s.touches.waiting = nil
		s.touches.mu.Unlock()
		if err := s.tellTouches(batch, more); err != nil && more {
			s.report(err)
			s.keepTouches(batch)
			wait = max(touchEvery, retry.next())
			continue
		}
		if !more {
			return
		}
		retry.reset()
		wait = touchEvery
	}
}

func (s *Store) tellTouches(batch []metadata.Access, more bool) error {
	if len(batch) == 0 {
		return nil
	}
	base := s.stopping
	if !more {
		base = context.WithoutCancel(base)
	}
	limit := settleTimeout
	if !more {
		limit = s.o.AskTimeout
	}
	ctx, cancel := context.WithTimeout(base, limit)
	defer cancel()
	return s.cat.Touch(ctx, batch)
}

// keepTouches puts accesses back that the catalogue was not told of.
func (s *Store) keepTouches(batch []metadata.Access) {
	t := &s.touches
	t.mu.Lock()
	defer t.mu.Unlock()
	room := maxTouches - len(t.waiting)
	if len(batch) > room {
		for _, a := range batch[room:] {
			t.dropped.Add(1)
			s.seen.forget(a.Hash)
		}
		batch = batch[:room]
	}
	t.waiting = append(batch, t.waiting...)
}

// maxMisses bounds the misses that wait to be looked at. What comes on top is left to the next miss of the same blob.
const maxMisses = 1024

func (s *Store) missed(h blob.Hash) {
	select {
	case s.misses <- h:
	default:
	}
}

// missLoop looks at what a Get has missed: a blob that the catalogue has as stored is to be noted as gone.
func (s *Store) missLoop() {
	retry := backoff{}
	for {
		var batch []blob.Hash
		select {
		case <-s.stopping.Done():
			return
		case h := <-s.misses:
			batch = append(batch, h)
		}
		for len(s.misses) > 0 && len(batch) < maxMisses {
			batch = append(batch, <-s.misses)
		}
		if err := s.lookAtMisses(batch); err != nil && s.stopping.Err() == nil {
			s.report(err)
			if !s.sleep(retry.next()) {
				return
			}
			continue
		}
		retry.reset()
	}
}

func (s *Store) lookAtMisses(batch []blob.Hash) error {
	ctx, cancel := context.WithTimeout(s.stopping, settleTimeout)
	defer cancel()
	stored, err := s.cat.Stored(ctx, batch)
	if err != nil {
		return err
	}
	for i, h := range batch {
		if !stored[i] {
			continue
		}
		if err := s.mode.gone(ctx, h); err != nil {
			return err
		}
	}
	return nil
}
