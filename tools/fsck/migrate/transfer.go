package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// transfer moves all of the plan. Workers read, verify and put; the landing makes durable and frees behind them.
func (m *Migration) transfer(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	m.land = newLanding(m, stop)
	var settling sync.WaitGroup
	settling.Go(func() { m.land.loop(ctx) })
	items := make(chan item, 2*m.o.Workers)
	var workers sync.WaitGroup
	for range m.o.Workers {
		workers.Go(func() {
			if err := m.work(ctx, items); err != nil {
				stop(err)
			}
		})
	}
	err := m.plan.each(ctx, func(it item) error {
		select {
		case items <- it:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(items)
	workers.Wait()
	close(m.land.last)
	settling.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// work takes blobs until there are no more, or something fails that is not one blob's.
func (m *Migration) work(ctx context.Context, items <-chan item) error {
	buf := m.bufs.Get()
	defer m.bufs.Put(buf)
	for it := range items {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := m.one(ctx, it, buf)
		if err != nil {
			if err = m.judge(ctx, it, h, err); err != nil {
				return err
			}
		}
		m.count.done.Add(1)
		m.count.doneBytes.Add(int64(it.size))
	}
	return nil
}

// judge says what an error of one blob comes to: it is gone, it is bad, or the run cannot go on.
func (m *Migration) judge(ctx context.Context, it item, h blob.Hash, err error) error {
	var d *destinationError
	switch {
	case ctx.Err() != nil, errors.As(err, &d), ofTheProcess(err):
		return err
	case errors.Is(err, errGone):
		m.count.gone.Add(1)
		return nil
	}
	b := m.src.place(it.ref)
	if h != (blob.Hash{}) {
		b.Hash = h.String()
	}
	b.Why = err.Error()
	m.addBad(b)
	return nil
}

// destinationError is one that says nothing about the blob.
type destinationError struct{ err error }

func (e *destinationError) Error() string { return e.err.Error() }
func (e *destinationError) Unwrap() error { return e.err }

// one moves one blob.
func (m *Migration) one(ctx context.Context, it item, buf []byte) (blob.Hash, error) {
	h, kind, err := m.src.look(it.ref)
	if err != nil {
		return h, err
	}
	there, err := m.dst.Has(ctx, h)
	if err != nil {
		return h, &destinationError{fmt.Errorf("migrate: %w", err)}
	}
	if there && m.o.Move {
		if there, err = m.provenThere(ctx, h, buf); err != nil {
			return h, &destinationError{fmt.Errorf("migrate: %w", err)}
		}
		if !there { // what is there is wrong
			return h, m.copy(ctx, it, h, kind, buf, true)
		}
	}
	if there {
		m.count.there.Add(1)
		return h, m.land.add(ctx, it)
	}
	return h, m.copy(ctx, it, h, kind, buf, false)
}

// copy reads a blob, compares it with its name, and puts it.
func (m *Migration) copy(ctx context.Context, it item, h blob.Hash, kind blob.Kind, buf []byte, replace bool) error {
	if err := m.pace.wait(ctx, int64(it.size)); err != nil {
		return err
	}
	data, err := m.src.read(it.ref, buf)
	if err != nil {
		return err
	}
	v, err := m.lanes.Verify(h, data)
	if err != nil {
		return err
	}
	if kind == blob.KindContent {
		kind = stream.Sniff(data)
	}
	if replace {
		if err := m.dst.Delete(ctx, h); err != nil {
			return &destinationError{fmt.Errorf("migrate: %w", err)}
		}
	}
	if err := m.put(ctx, v, kind); err != nil {
		return &destinationError{err}
	}
	m.count.copied.Add(1)
	m.count.copiedBytes.Add(v.Size())
	return m.land.add(ctx, it)
}

// provenThere reads what the destination has: an earlier run put it, and the source's copy is about to go.
func (m *Migration) provenThere(ctx context.Context, h blob.Hash, buf []byte) (bool, error) {
	hd, err := m.dst.Get(ctx, h)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer hd.Release()
	n := hd.Size()
	if n > int64(len(buf)) {
		return false, nil
	}
	if k, err := hd.ReadAt(buf[:n], 0); int64(k) < n {
		if ofTheProcess(err) {
			return false, err
		}
		return false, nil
	} else if err != nil && err != io.EOF {
		return false, err
	}
	_, err = m.lanes.Verify(h, buf[:n])
	return err == nil, nil
}

// The destination may have no room for a moment: it learns of what was freed within a second or two.
const (
	fullTries = 40
	fullPause = 250 * time.Millisecond
)

// put waits for room as long as some comes.
func (m *Migration) put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	for tries := 0; ; tries++ {
		err := m.dst.Put(ctx, v, kind)
		if !errors.Is(err, blob.ErrFull) {
			if err != nil {
				return fmt.Errorf("migrate: %w", err)
			}
			return nil
		}
		if tries == fullTries {
			st := m.dst.Stats()
			return fmt.Errorf("migrate: %w: %w (%d bytes are free on its disk, it uses %d and may use %d); it needs two segments "+
				"and the index more than it holds. What was moved is whole: make room, or choose smaller segments, and run it again",
				ErrRoom, err, st.FSFree, st.Used, st.Limit)
		}
		freed, err := m.land.settle(ctx)
		if err != nil {
			return err
		}
		if freed > 0 {
			tries = 0
		}
		if err := sleep(ctx, fullPause); err != nil {
			return err
		}
	}
}
