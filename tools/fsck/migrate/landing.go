package migrate

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A batch is what lands before it is made durable, and with Move freed in the source. With one flush for maxBatch, flushes
// cost little, and the workers seldom wait for one. maxFrugalBatch is for a disk that has little room beside the source.
const (
	maxBatch       = 128 << 20
	maxFrugalBatch = 64 << 20
)

// landEvery is how long what has landed waits for more: a run that is killed leaves what is not freed in both places.
const landEvery = time.Second

// landing has the blobs that the destination has and that are not known to be durable there.
type landing struct {
	m    *Migration
	stop context.CancelCauseFunc
	wake chan struct{}
	last chan struct{} // closed when nothing more lands

	mu    sync.Mutex
	refs  []ref
	bytes int64
	round *round // the one that takes what lands now
}

// round is one flush, with what is freed after it.
type round struct {
	refs  []ref
	done  chan struct{} // closed when it is freed, and all before it
	freed int
}

func newLanding(m *Migration, stop context.CancelCauseFunc) *landing {
	return &landing{
		m: m, stop: stop, wake: make(chan struct{}, 1), last: make(chan struct{}), round: &round{done: make(chan struct{})},
	}
}

// add notes a blob that the destination has. It waits where too many are not durable yet.
func (l *landing) add(ctx context.Context, it item) error {
	l.mu.Lock()
	l.refs = append(l.refs, it.ref)
	l.bytes += int64(it.size)
	n := l.bytes
	l.mu.Unlock()
	if n >= l.m.batch {
		l.poke()
	}
	if n < 2*l.m.batch {
		return nil
	}
	_, err := l.settle(ctx)
	return err
}

func (l *landing) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// settle waits until all that has landed is durable, and says how many blobs were freed for it.
func (l *landing) settle(ctx context.Context) (int, error) {
	l.mu.Lock()
	r := l.round
	l.mu.Unlock()
	l.poke()
	select {
	case <-r.done:
		return r.freed, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// loop makes rounds until nothing more lands, and the last is done. While a round is freed, the next is made durable.
func (l *landing) loop(ctx context.Context) {
	durable := make(chan *round)
	var freeing sync.WaitGroup
	freeing.Go(func() { l.free(durable) })
	defer freeing.Wait()
	defer close(durable)
	tick := time.NewTicker(landEvery)
	defer tick.Stop()
	for {
		ended := false
		select {
		case <-l.wake:
		case <-tick.C:
		case <-l.last:
			ended = true
		}
		r, err := l.turn(ctx)
		if err != nil {
			l.stop(err)
			return
		}
		durable <- r
		if ended {
			return
		}
	}
}

// turn makes what has landed durable. After an error nothing of it is freed: the next run finds out what became of it.
func (l *landing) turn(ctx context.Context) (*round, error) {
	l.mu.Lock()
	r := l.round
	r.refs = l.refs
	l.round, l.refs, l.bytes = &round{done: make(chan struct{})}, nil, 0
	l.mu.Unlock()
	if len(r.refs) > 0 {
		if err := l.m.dst.Flush(ctx); err != nil {
			return nil, fmt.Errorf("migrate: make durable in %s: %w", l.m.o.To, err)
		}
	}
	return r, nil
}

// free frees round by round. After an error no more is freed, and nobody is told that a round is done: the run ends.
func (l *landing) free(durable <-chan *round) {
	failed := false
	for r := range durable {
		if l.m.o.Move && len(r.refs) > 0 && !failed {
			n, err := l.m.src.free(r.refs)
			l.m.count.freed.Add(int64(n))
			r.freed = n
			if err != nil {
				failed = true
				l.stop(err)
			}
		}
		if !failed {
			close(r.done)
		}
	}
}
