package migrate

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// maxBatch is the most that lands before it is made durable, and with Move freed in the source: with one flush for so much,
// flushes cost little, and a source that is freed behind needs little room.
const maxBatch = 64 << 20

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
	done  chan struct{}
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

// loop makes rounds until nothing more lands, and the last is done.
func (l *landing) loop(ctx context.Context) {
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
		if err := l.turn(ctx); err != nil {
			l.stop(err)
			return
		}
		if ended {
			return
		}
	}
}

// turn makes what has landed durable, and then frees it. After an error nothing is freed: the next run finds out what
// became of it.
func (l *landing) turn(ctx context.Context) error {
	l.mu.Lock()
	r, refs := l.round, l.refs
	l.round, l.refs, l.bytes = &round{done: make(chan struct{})}, nil, 0
	l.mu.Unlock()
	if len(refs) > 0 {
		if err := l.m.dst.Flush(ctx); err != nil {
			return fmt.Errorf("migrate: make durable in %s: %w", l.m.o.To, err)
		}
		if l.m.o.Move {
			n, err := l.m.src.free(refs)
			l.m.count.freed.Add(int64(n))
			r.freed = n
			if err != nil {
				return err
			}
		}
	}
	close(r.done)
	return nil
}
