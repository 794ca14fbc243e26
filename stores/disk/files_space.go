package disk

import (
	"context"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

const (
	// indexReserve is kept free for what the index may write before it is measured again: memtables with their logs, and
	// the output of a compaction before its inputs are removed.
	indexReserve = 24 << 20
	// leastSize is the smallest max_size: the reserve, and room for a few blobs.
	leastSize = indexReserve + 16*blob.MaxSize

	// slackBytes bounds the files that the index may not know after a power cut or a kill: index rows are made durable
	// after that many bytes of puts at the latest.
	slackBytes = 32 << 20
	// headroomMax bounds what eviction keeps free ahead of puts.
	headroomMax = 64 << 20

	// roomWait bounds how long a Put waits for eviction before the blob passes through.
	roomWait = 2 * time.Second

	minFreeDefault = 1 << 30
)

// space is the account of the mount, in bytes.
type space struct {
	maxSize, minFree int64 // as configured

	mu       sync.Mutex
	prefix   int   // length of the folders' names
	live     int64 // files that have rows
	folders  int64 // what the folders of those take
	inflight int64 // puts that reserved their room and have no row yet
	grabbed  int64 // files without rows that are not gone yet: being removed, or removed and still read
	slack    int64 // files that the index may have lost
	index    int64 // with what others keep beside it
	free     int64 // on the file system
	limit    int64
	stuck    bool          // nothing can be evicted
	changed  chan struct{} // closed and replaced when room may have come, or stuck changed
}

// usedLocked is what the mount accounts for now.
func (p *space) usedLocked() int64 {
	return p.live + p.folders + p.inflight + p.grabbed + p.slack + p.index + indexReserve
}

// bound is what the mount may account for now.
func (p *space) bound() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

func (p *space) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// entryBytes is what a file's name takes in its folder, with the room that such folders leave unused.
const entryBytes = 192

// setLive notes what all rows add up to.
func (p *space) setLive(total index.SegmentRow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	less := total.LiveBytes < p.live
	p.live = total.LiveBytes
	folders := total.LiveBlobs
	if p.prefix < 8 {
		folders = min(folders, 1<<(4*p.prefix))
	}
	p.folders = max(folders*segments.BlockSize, total.LiveBlobs*entryBytes)
	if less {
		p.notifyLocked()
	}
}

// setSlack charges for files that the index may have lost, until a walk has found them.
func (p *space) setSlack(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slack = 0
	if on {
		p.slack = slackBytes
		if p.maxSize > 0 {
			p.slack = min(p.slack, p.maxSize/8)
		}
	}
	p.notifyLocked()
}

// grab charges for a file whose row goes, until it is gone itself and ungrab is called.
func (p *space) grab(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grabbed += n
}

func (p *space) ungrab(n int64) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grabbed -= n
	p.stuck = false
	p.notifyLocked()
}

// settle ends the reservation of a put.
func (p *space) settle(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inflight -= n
	p.notifyLocked()
}

func (p *space) isStuck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stuck
}

func (p *space) setStuck(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck != on {
		p.stuck = on
		p.notifyLocked()
	}
}

// headroomLocked is what eviction keeps free, so that puts need not wait for it.
func (p *space) headroomLocked() int64 { return min(max(p.limit, 0)/32, headroomMax) }

// excess is how many bytes eviction still has to find. What readers hold of removed files is not free before they are
// done, so others go for it.
func (p *space) excess() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.usedLocked() + p.headroomLocked() - p.limit
}

// tryReserve takes n bytes for a put. If there is no room, wait is closed when it is worth trying again, and full says
// that it is not worth waiting. low says that eviction should run.
func (p *space) tryReserve(n int64) (ok, full, low bool, wait <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := p.limit - p.usedLocked()
	low = room-n < p.headroomLocked()
	if room < n {
		return false, p.stuck, low, p.changed
	}
	p.inflight += n
	return true, false, low, nil
}

// reserve takes n bytes for a put, waiting shortly for eviction. Errors: blob.ErrFull, or ctx's.
func (s *files) reserve(ctx context.Context, n int64) error {
	var timeout <-chan time.Time
	for {
		ok, full, low, wait := s.space.tryReserve(n)
		if low {
			poke(s.evictNow)
		}
		if ok {
			return nil
		}
		if full || !s.complete.Load() {
			return blob.ErrFull
		}
		if timeout == nil {
			t := time.NewTimer(roomWait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-wait:
		case <-timeout:
			return blob.ErrFull
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.stopping.Done():
			return errClosed
		}
	}
}

// measure reads anew what others can change: the size of the index, and the room on the file system.
//
// Before the first walk of a folder has ended nobody knows how much is in it, but it cannot be more than the whole file
// system holds: as long as that, with what is put, stays below max_size, so does the store.
func (s *files) measure() {
	disk := s.ix.Stats().DiskBytes
	if ask := s.beside.Load(); ask != nil {
		disk += (*ask)()
	}
	u, err := s.fsys.Usage(s.root)
	if err != nil {
		s.fault("usage", err)
		return
	}
	p := &s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index, p.free = disk, u.Free
	floor := p.minFree
	if floor == 0 {
		floor = max(u.Total/100, minFreeDefault)
	}
	held := p.live + p.folders + p.grabbed + p.index
	p.limit = held + u.Free - floor
	if p.maxSize > 0 {
		p.limit = min(p.limit, p.maxSize)
		if !s.complete.Load() {
			p.limit = min(p.limit, held+p.maxSize-u.Used)
		}
	}
	p.notifyLocked()
}
