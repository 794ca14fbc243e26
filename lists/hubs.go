package lists

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// hubs are the hubs that transactions are asked for at. One that fails is left alone for a while, and given up for this
// refresh when it keeps failing.
type hubs struct {
	addrs   []string
	timeout time.Duration
	pause   time.Duration // after the first failure; it doubles

	mu    sync.Mutex
	state []hubState
}

// hubState is how a hub does in one refresh.
type hubState struct {
	failures int // in a row
	until    time.Time
}

const (
	hubWorkers   = 4 // questions under way; each may hold some copies of a long line
	maxHubFaults = 5 // in a row, then it is given up
)

var (
	// errNoHub is that no hub was left to ask.
	errNoHub = errors.New("no hub works")
	// errRefused is that every hub that works was asked, and none gave the transaction.
	errRefused = errors.New("no hub has it")
)

// outputs asks for transactions and calls got for each, from one goroutine at a time, with the scripts of its outputs or
// with an error that is errRefused, errNoHub or the context's. It returns once all were asked for.
func (h *hubs) outputs(ctx context.Context, ids []txid, got func(txid, [][]byte, error)) {
	h.state = make([]hubState, len(h.addrs))
	work := make(chan txid)
	var calls sync.Mutex
	var workers sync.WaitGroup
	for i := range min(hubWorkers, len(ids)) {
		workers.Go(func() {
			w := &hubWorker{hubs: h, first: i % max(len(h.addrs), 1), open: make([]*hub, len(h.addrs))}
			defer w.close()
			for id := range work {
				scripts, err := w.outputs(ctx, id)
				calls.Lock()
				got(id, scripts, err)
				calls.Unlock()
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	workers.Wait()
}

// pick chooses a hub for a transaction: the first from start on that may be asked now, or else the one that may be asked
// soonest. ok is false when all were tried or given up.
func (h *hubs) pick(start int, tried []bool) (which int, wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range h.state {
		i = (start + i) % len(h.state)
		if tried[i] || h.state[i].failures >= maxHubFaults {
			continue
		}
		left := max(h.state[i].until.Sub(now), 0)
		if !ok || left < wait {
			which, wait, ok = i, left, true
		}
	}
	return which, wait, ok
}

// note remembers how a hub did.
func (h *hubs) note(which int, worked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.state[which]
	if worked {
		*s = hubState{}
		return
	}
	s.until = time.Now().Add(h.pause << min(s.failures, maxHubFaults))
	s.failures++
}

// hubWorker asks for one transaction after the other, over connections of its own.
type hubWorker struct {
	*hubs
	first int // the hub that it prefers
	open  []*hub
}

func (w *hubWorker) close() {
	for _, h := range w.open {
		if h != nil {
			h.close()
		}
	}
}

// outputs asks one hub after the other, each once at most.
func (w *hubWorker) outputs(ctx context.Context, id txid) ([][]byte, error) {
	tried := make([]bool, len(w.addrs))
	var refused, failed error
	for {
		which, wait, ok := w.pick(w.first, tried)
		switch {
		case !ok && refused != nil:
			return nil, fmt.Errorf("%w: %w", errRefused, refused)
		case !ok && failed != nil:
			return nil, fmt.Errorf("%w: %w", errNoHub, failed)
		case !ok:
			return nil, errNoHub
		}
		if err := pauseFor(ctx, wait); err != nil {
			return nil, err
		}
		tried[which] = true
		scripts, err := w.ask(ctx, which, id)
		if err == nil {
			w.note(which, true)
			return scripts, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err = fmt.Errorf("hub %s: %w", w.addrs[which], err)
		if _, is := errors.AsType[refusal](err); is && w.open[which] != nil {
			w.note(which, true)
			refused = err
			continue
		}
		w.note(which, false)
		failed = err
	}
}

// ask asks one hub, connecting if need be. A connection that failed is closed.
func (w *hubWorker) ask(ctx context.Context, which int, id txid) ([][]byte, error) {
	if w.open[which] == nil {
		h, err := dialHub(ctx, w.addrs[which], w.timeout)
		if err != nil {
			return nil, err
		}
		w.open[which] = h
	}
	scripts, err := w.open[which].outputs(ctx, id)
	if _, is := errors.AsType[refusal](err); err != nil && !is {
		w.open[which].close()
		w.open[which] = nil
	}
	return scripts, err
}

// pauseFor waits, unless the context ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
