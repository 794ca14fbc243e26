package sha384

import (
	"runtime"
	"slices"
	"sync"
)

// Lanes are shared by the streams that are made with them. Safe for concurrent use.
type Lanes struct {
	most int // passes at once

	mu    sync.Mutex
	now   int       // passes
	queue []*Digest // that wait for a pass, or for its end; the next is the first
}

// NewLanes makes lanes for streams of one owner. It is nil, which New understands, where the processor has none.
func NewLanes() *Lanes {
	if !supported() || !proven(step) {
		return nil
	}
	// A pass costs a processor; one in four keeps up with what the others can send and receive, and the fewer passes
	// there are, the more streams meet in each.
	return &Lanes{most: max(1, runtime.GOMAXPROCS(0)/4)}
}

const (
	// maxLanes is how many streams a pass takes along.
	maxLanes = 8
	// wideFrom is how many streams it takes for eight lanes to be worth more than four and four again.
	wideFrom = 6
	// turnBytes bounds what is hashed of each stream before who came meanwhile may join: 25 µs of four lanes.
	turnBytes = 16 << 10
)

// hash hashes d.rest, in passes of this call or of others.
func (l *Lanes) hash(d *Digest) {
	l.mu.Lock()
	if l.now < l.most {
		l.now++
		// Who could run now and is about to hash comes along. Where nobody could run, this takes no time.
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
	} else {
		l.queue = append(l.queue, d)
		l.mu.Unlock()
		if mine := <-d.turn; !mine {
			return
		}
		l.mu.Lock()
	}
	var batch [maxLanes]*Digest
	for len(d.rest) > 0 {
		n := l.takeLocked(&batch, d)
		l.mu.Unlock()
		step(batch[:n])
		l.mu.Lock()
		l.putBackLocked(batch[1:n])
	}
	// Who has waited longest goes on: nobody works for others only.
	if len(l.queue) > 0 {
		l.queue[0].turn <- true
		l.queue = slices.Delete(l.queue, 0, 1)
	} else {
		l.now--
	}
	l.mu.Unlock()
}

// takeLocked fills a batch with d and those who wait longest.
func (l *Lanes) takeLocked(batch *[maxLanes]*Digest, d *Digest) int {
	most := maxLanes
	if 1+len(l.queue) < wideFrom {
		most = maxLanes / 2
	}
	batch[0] = d
	n := copy(batch[1:most], l.queue)
	l.queue = slices.Delete(l.queue, 0, n)
	return 1 + n
}

// putBackLocked lets those go that are through; the others are the next again.
func (l *Lanes) putBackLocked(batch []*Digest) {
	at := 0
	for _, d := range batch {
		if len(d.rest) == 0 {
			d.turn <- false
			continue
		}
		l.queue = slices.Insert(l.queue, at, d)
		at++
	}
}

// step hashes as much of each stream of a batch as the shortest has, at most one turn.
func step(batch []*Digest) {
	n := turnBytes
	for _, d := range batch {
		n = min(n, len(d.rest))
	}
	switch {
	case len(batch) == 1:
		batch[0].stepAlone(n)
		return
	case len(batch) <= maxLanes/2:
		stepTogether(batch, n, maxLanes/2)
	default:
		stepTogether(batch, n, maxLanes)
	}
	for _, d := range batch {
		d.rest, d.length = d.rest[n:], d.length+uint64(n)
	}
}

// stepTogether hashes the next n bytes of up to as many streams as there are lanes. Lanes that are left over do what the
// first does.
func stepTogether(batch []*Digest, n, lanes int) {
	var state [maxLanes * 8]uint64
	var data [maxLanes]*byte
	for lane := range lanes {
		d := batch[0]
		if lane < len(batch) {
			d = batch[lane]
		}
		data[lane] = &d.rest[:n][0]
		for i, w := range d.state {
			state[i*lanes+lane] = w
		}
	}
	if lanes == maxLanes {
		compress8(&state, &data, n/BlockSize)
	} else {
		compress4(&state, &data, n/BlockSize)
	}
	for lane, d := range batch {
		for i := range d.state {
			d.state[i] = state[i*lanes+lane]
		}
	}
}
