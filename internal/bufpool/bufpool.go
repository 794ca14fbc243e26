// Package bufpool keeps buffers of one size for reuse, in a bounded list that the garbage collector does not empty, so
// that a steady load allocates nothing. A Budget also bounds how many buffers are out at once.
package bufpool

import (
	"context"
	"sync"
)

// Pool hands out buffers of one size, the one that came back last first: it is the likeliest to be in the processor's
// cache. Get never waits. It is safe for concurrent use.
type Pool struct {
	size, keep int
	alloc      func(n int) []byte

	mu   sync.Mutex
	free [][]byte
}

// New makes a pool of buffers of size bytes that keeps at most keep idle ones.
func New(size, keep int) *Pool {
	return NewIn(size, keep, func(n int) []byte { return make([]byte, n) })
}

// NewIn is New with buffers of other memory than the heap's: alloc makes one of n bytes, for several goroutines at once.
// Whoever owns the memory keeps it until the last buffer is out of use.
func NewIn(size, keep int, alloc func(n int) []byte) *Pool {
	return &Pool{size: size, keep: keep, alloc: alloc}
}

// Get gives a buffer of the pool's size, whose content is arbitrary. The caller owns it until Put.
func (p *Pool) Get() []byte {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free[n-1], p.free = nil, p.free[:n-1]
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	return p.alloc(p.size)
}

// Put takes back a buffer that Get gave. The caller must not touch it afterwards.
func (p *Pool) Put(b []byte) {
	if cap(b) < p.size {
		panic("bufpool: Put of a buffer that is not of this pool")
	}
	p.mu.Lock()
	if len(p.free) < p.keep {
		p.free = append(p.free, b[:p.size])
	}
	p.mu.Unlock()
}

// Budget is a pool of which at most a fixed number of buffers are out at once. Each that is out has a place.
type Budget struct {
	pool *Pool
	out  chan struct{}
}

// NewBudget makes a budget of at most limit buffers of size bytes.
func NewBudget(size, limit int) *Budget {
	return &Budget{pool: New(size, limit), out: make(chan struct{}, limit)}
}

// NewBudgetIn is NewBudget with buffers of other memory than the heap's, as NewIn.
func NewBudgetIn(size, limit int, alloc func(n int) []byte) *Budget {
	return &Budget{pool: NewIn(size, limit, alloc), out: make(chan struct{}, limit)}
}

// Sibling is a budget of its own, of at most limit buffers, over the same idle buffers. A buffer may change from one to
// the other: Reserve a place here, and Yield the one there.
func (b *Budget) Sibling(limit int) *Budget {
	return &Budget{pool: b.pool, out: make(chan struct{}, limit)}
}

// Get waits for a buffer until ctx ends, and returns ctx's error then.
func (b *Budget) Get(ctx context.Context) ([]byte, error) {
	if b.Reserve() {
		return b.pool.Get(), nil
	}
	select {
	case b.out <- struct{}{}:
		return b.pool.Get(), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// TryGet gives a buffer if one may be had now.
func (b *Budget) TryGet() ([]byte, bool) {
	if b.Reserve() {
		return b.pool.Get(), true
	}
	return nil, false
}

// Reserve takes a place without a buffer, if there is one. The caller gives it back with Yield, or with Put of a buffer
// of a sibling whose place was given back there.
func (b *Budget) Reserve() bool {
	select {
	case b.out <- struct{}{}:
		return true
	default:
		return false
	}
}

// Yield gives a place back and no buffer.
func (b *Budget) Yield() { <-b.out }

// Put takes a buffer back, and its place.
func (b *Budget) Put(buf []byte) {
	b.pool.Put(buf)
	b.Yield()
}

// Out is the number of places that are taken.
func (b *Budget) Out() int { return len(b.out) }
