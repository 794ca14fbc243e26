// Package bufpool keeps buffers of one size for reuse, in a bounded list that the garbage collector does not empty, so
// that a steady load allocates nothing. A Budget also bounds how many buffers are out at once.
package bufpool

import "context"

// Pool hands out buffers of one size. Get never waits. It is safe for concurrent use.
type Pool struct {
	size int
	free chan []byte
}

// New makes a pool of buffers of size bytes that keeps at most keep idle ones.
func New(size, keep int) *Pool {
	return &Pool{size: size, free: make(chan []byte, keep)}
}

// Get gives a buffer of the pool's size, whose content is arbitrary. The caller owns it until Put.
func (p *Pool) Get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, p.size)
	}
}

// Put takes back a buffer that Get gave. The caller must not touch it afterwards.
func (p *Pool) Put(b []byte) {
	if cap(b) < p.size {
		panic("bufpool: Put of a buffer that is not of this pool")
	}
	select {
	case p.free <- b[:p.size]:
	default:
	}
}

// Budget is a pool of which at most a fixed number of buffers are out at once.
type Budget struct {
	pool *Pool
	out  chan struct{}
}

// NewBudget makes a budget of at most limit buffers of size bytes.
func NewBudget(size, limit int) *Budget {
	return &Budget{pool: New(size, limit), out: make(chan struct{}, limit)}
}

// Get waits for a buffer until ctx ends, and returns ctx's error then.
func (b *Budget) Get(ctx context.Context) ([]byte, error) {
	select {
	case b.out <- struct{}{}:
		return b.pool.Get(), nil
	default:
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
	select {
	case b.out <- struct{}{}:
		return b.pool.Get(), true
	default:
		return nil, false
	}
}

// Put takes a buffer back.
func (b *Budget) Put(buf []byte) {
	b.pool.Put(buf)
	<-b.out
}

// Out is the number of buffers that are out.
func (b *Budget) Out() int { return len(b.out) }
