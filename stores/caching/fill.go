package caching

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// phase is how far a fill has come. Store.mu guards it.
type phase int

const (
	queued    phase = iota // waits for a buffer; ends when nobody waits for it
	fetching               // asks the origin; goes on without waiters
	admitting              // gives the blob to the cache; a Delete waits for the end of it
	landed                 // the result is there
)

// fill is one request to the origin, for all who want the blob.
type fill struct {
	hash   blob.Hash
	cancel context.CancelFunc

	// Under Store.mu.
	phase   phase
	waiters int
	parted  bool // a Put or Delete came after it: it must not admit
	open    bool // ready is closed
	result

	ready chan struct{} // closed once the result is there: for a large blob when its first bytes are
	done  chan struct{} // closed when the fill is over
}

// result is what a fill brought, or brings.
type result struct {
	held held // with one reference, for all waiters together
	here bool // the cache had it
	err  error
	hops []blob.Hop
}

// held is a blob in the cache, or on its way there.
type held interface {
	Handle() blob.Handle
	Release()
}

// arrived is a handle of a blob that is whole and proven and on its way into the cache, else nil.
func (s *Store) arrived(h blob.Hash) blob.Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.fills[h]; f != nil && f.phase == admitting && f.open {
		return f.held.Handle() // its error, if it comes to one, is the reader's
	}
	return nil
}

// wait joins the fill of h, until ctx ends. here: the cache had the blob by then.
func (s *Store) wait(ctx context.Context, h blob.Hash) (handle blob.Handle, here bool, err error) {
	f, err := s.join(h)
	if err != nil {
		return nil, false, err
	}
	s.counters.waiting.Add(1)
	defer s.counters.waiting.Add(-1)
	select {
	case <-f.ready:
		defer s.leave(f)
		r := s.resultOf(f)
		blob.TraceOf(ctx).Add(r.hops...)
		if r.err != nil {
			return nil, false, r.err
		}
		return r.held.Handle(), r.here, nil
	case <-ctx.Done():
		err := fmt.Errorf("caching: wait for the fill of %s: %w", h.Short(), ctx.Err())
		if s.leave(f) == queued {
			err = fmt.Errorf("%w: %w", err, blob.ErrBusy)
		}
		return nil, false, err
	}
}

// resultOf is the result as it is now: a fill may fail after it was ready.
func (s *Store) resultOf(f *fill) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.result
}

// join gives the fill of h, a new one if none may be joined. The caller leaves it.
func (s *Store) join(h blob.Hash) (*fill, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return nil, errClosed
	}
	f := s.fills[h]
	if f == nil {
		f = &fill{hash: h, ready: make(chan struct{}), done: make(chan struct{})}
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(s.root)
		s.fills[h] = f
		s.running.Go(func() { s.run(ctx, f) })
	}
	f.waiters++
	return f, nil
}

// leave gives up one wait, and says in which phase. The last to leave takes with it a fill that has not begun, or what
// the fill brought.
func (s *Store) leave(f *fill) phase {
	s.mu.Lock()
	f.waiters--
	last, at := f.waiters == 0, f.phase
	if last && at == queued {
		s.unlistLocked(f)
	}
	s.mu.Unlock()
	switch {
	case last && at == queued:
		f.cancel()
	case last && at == landed && f.held != nil:
		f.held.Release()
	}
	return at
}

// part keeps Gets from now on away from a fill whose answer may be older than a change that is done, and keeps the
// fill from admitting it. A fill that admits already has the right bytes and stays: the channel that part returns is
// closed when it is through. nil: there is nothing to wait for.
func (s *Store) part(h blob.Hash) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fills[h]
	switch {
	case f == nil:
		return nil
	case f.phase == admitting:
		return f.done
	}
	f.parted = true
	s.unlistLocked(f)
	return nil
}

// unlistLocked lets nobody join f any more.
func (s *Store) unlistLocked(f *fill) {
	if s.fills[f.hash] == f {
		delete(s.fills, f.hash)
	}
}

// enter moves a fill on, unless what comes next must not happen.
func (s *Store) enter(f *fill, next phase) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next == fetching && f.waiters == 0 || next == admitting && f.parted {
		return false
	}
	f.phase = next
	return true
}

// show lets the waiters have a body that has yet to be admitted, and perhaps to come. It needs the certainty that the
// bytes can stay somewhere should the cache refuse them.
func (s *Store) show(f *fill, b *body, hops []blob.Hop) {
	if !b.reserve() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !f.open {
		f.open, f.result = true, result{held: b, hops: hops}
		close(f.ready)
	}
}

// land ends a fill. What it was given is the waiters'; where they have the body already, only an error is news.
func (s *Store) land(f *fill, r result) {
	s.mu.Lock()
	s.unlistLocked(f)
	f.phase = landed
	if f.open {
		f.err = r.err
	} else {
		f.open, f.result = true, r
		close(f.ready)
	}
	close(f.done)
	unwanted := f.held
	if f.waiters > 0 {
		unwanted = nil
	}
	s.mu.Unlock()
	if unwanted != nil {
		unwanted.Release()
	}
}

// run is the fill, on a goroutine that Close waits for.
func (s *Store) run(ctx context.Context, f *fill) {
	defer f.cancel()
	buf, err := s.bufs.Get(ctx)
	if err != nil {
		s.land(f, result{err: errClosed}) // or nobody waits
		return
	}
	if !s.enter(f, fetching) {
		s.bufs.Put(buf)
		s.land(f, result{err: errClosed}) // nobody waits
		return
	}
	if r, ok := s.recheck(ctx, f.hash); ok {
		s.bufs.Put(buf)
		s.land(f, r)
		return
	}
	since := s.missing.mark(f.hash)
	ctx, tr := blob.WithTrace(ctx)
	b := s.newBody(buf)
	v, err := s.fetch(ctx, f, b)
	if errors.Is(err, blob.ErrNotFound) {
		s.missing.add(f.hash, since) // before it lands, or the next Get would ask again
	}
	if err == nil {
		b.prove()
		s.show(f, b, tr.Hops())
		err = s.admit(ctx, f, v, b)
	}
	r := result{held: b, err: err, hops: tr.Hops()}
	if err != nil {
		b.fail(err)
		if !f.open { // this goroutine alone opens it
			b.Release()
			r.held = nil
		}
	}
	s.land(f, r)
}

// recheck looks for what an earlier fill brought between a waiter's look into the cache and this fill's begin.
func (s *Store) recheck(ctx context.Context, h blob.Hash) (result, bool) {
	if s.missing.has(h) {
		return result{err: errRemembered(h)}, true
	}
	ctx, cancel := context.WithTimeout(ctx, s.admitTimeout)
	defer cancel()
	// Has counts as no use and no miss of the cache.
	if has, err := s.cache.Has(ctx, h); err != nil || !has {
		return result{}, false
	}
	handle, err := s.cache.Get(ctx, h)
	if err != nil {
		return result{}, false
	}
	return result{held: refcount.NewShared(handle), here: true}, true
}

// fetch brings the blob from the origin into b's buffer, verified.
func (s *Store) fetch(ctx context.Context, f *fill, b *body) (blob.Verified, error) {
	h := f.hash
	ctx, cancel := context.WithTimeout(ctx, s.fillTimeout)
	defer cancel()
	s.counters.fills.Add(1)
	s.counters.originInFlight.Add(1)
	defer s.counters.originInFlight.Add(-1)
	start := time.Now()
	v, err := s.collect(ctx, f, b)
	if err == nil {
		s.counters.filled(v.Size(), time.Since(start))
		return v, nil
	}
	switch {
	case errors.Is(err, blob.ErrNotFound):
		s.counters.originMisses.Add(1)
		return blob.Verified{}, fmt.Errorf("caching: fill: %w", err)
	case s.root.Err() != nil:
		return blob.Verified{}, errClosed
	case ctx.Err() != nil:
		// Not the context's own error: the waiters' contexts are alive.
		err = fmt.Errorf("%w: no blob in %v: %w", blob.ErrUnavailable, s.fillTimeout, os.ErrDeadlineExceeded)
	}
	class := s.counters.fillFailed(err)
	s.fillTrouble.Do(func() { s.log.Warn("a fill failed", "class", class, "blob", h.Short(), "err", err) })
	return blob.Verified{}, fmt.Errorf("caching: fill %s: %w", h.Short(), err)
}

// collect reads from the origin, by its stream where it has one. Readers follow a stream that is larger than what they
// would have to wait for anyway.
func (s *Store) collect(ctx context.Context, f *fill, b *body) (blob.Verified, error) {
	if s.opener == nil {
		v, err := s.collectHandle(ctx, f.hash, b.buf)
		b.size = v.Size()
		return v, err
	}
	st, err := s.opener.Open(ctx, f.hash)
	if err != nil {
		return blob.Verified{}, err
	}
	b.size = st.Size()
	var progress func(int)
	if b.size > holdBack {
		progress = func(n int) {
			b.grow(n)
			if !f.open { // this goroutine alone opens it
				s.show(f, b, blob.TraceOf(ctx).Hops())
			}
		}
	}
	v, err := s.lanes.Collect(st, b.buf, progress)
	_ = st.Close() // the bytes were proven or refused already
	return v, err
}

// collectHandle is collect for origins that only have handles.
func (s *Store) collectHandle(ctx context.Context, h blob.Hash, buf []byte) (blob.Verified, error) {
	handle, err := s.origin.Get(ctx, h)
	if err != nil {
		return blob.Verified{}, err
	}
	defer handle.Release()
	size := handle.Size()
	if size > blob.MaxSize {
		return blob.Verified{}, blob.ErrTooBig
	}
	if n, err := handle.ReadAt(buf[:size], 0); int64(n) < size {
		return blob.Verified{}, fmt.Errorf("read %d of %d bytes: %w", n, size, err)
	}
	return s.lanes.Verify(h, buf[:size])
}

// admit gives a blob to the cache, and its readers what the cache gives for it, so that slow ones hold no buffer. If the
// cache does not keep the blob, it passes through: the buffer stays with them, on another budget than that of fills.
func (s *Store) admit(ctx context.Context, f *fill, v blob.Verified, b *body) error {
	if s.enter(f, admitting) {
		handle, err := s.store(ctx, v)
		if err == nil {
			b.settle(handle)
			return nil
		}
		// Not an error: evicted at once, a cache that keeps nothing, or Close.
		if !errors.Is(err, blob.ErrNotFound) && s.root.Err() == nil {
			s.cacheFailed("admit", f.hash, err)
		}
	}
	if !b.pass() {
		return fmt.Errorf("caching: fill %s: the cache does not keep it, and slow readers hold all that may pass through: %w",
			f.hash.Short(), blob.ErrBusy)
	}
	s.counters.passedThrough.Add(1)
	return nil
}

// store puts a blob into the cache and pins it there.
func (s *Store) store(ctx context.Context, v blob.Verified) (blob.Handle, error) {
	// Close waits for it: the blob is whole, and a client may have it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.admitTimeout)
	defer cancel()
	if err := s.cache.Put(ctx, v, stream.Sniff(v.Bytes())); err != nil {
		return nil, err
	}
	return s.cache.Get(ctx, v.Hash())
}
