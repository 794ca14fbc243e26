package blob

import (
	"context"
	"sync"
	"time"
)

// Hop is one store that a request went through.
type Hop struct {
	Origin  string        // "<kind>-<name>", or the kind alone where the kind has one name only
	Host    string        // host that ran the store; empty for this process
	Elapsed time.Duration // from the call to its return, inner stores included
}

// Trace collects the hops of one request, innermost store first. It is safe for concurrent use; a nil *Trace takes
// everything and keeps nothing, so that stores need no test.
type Trace struct {
	mu   sync.Mutex
	hops []Hop
	room [usualHops]Hop // of hops, while there are no more
}

// usualHops is how many stores most requests go through at most.
const usualHops = 4

type traceKey struct{}

// WithTrace installs a new trace.
func WithTrace(ctx context.Context) (context.Context, *Trace) {
	t := &Trace{}
	return context.WithValue(ctx, traceKey{}, t), t
}

// TraceOf is the trace of ctx, or nil.
func TraceOf(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// Detach returns ctx without its trace, for work that outlives the request.
func Detach(ctx context.Context) context.Context {
	return context.WithValue(ctx, traceKey{}, (*Trace)(nil))
}

// Add appends hops: a store adds its own once it returns, on errors too; a store that speaks to another server first
// adds what that server said.
func (t *Trace) Add(hops ...Hop) {
	if t == nil {
		return
	}
	t.mu.Lock()
	if t.hops == nil {
		t.hops = t.room[:0]
	}
	t.hops = append(t.hops, hops...)
	t.mu.Unlock()
}

// AddOver appends the hop of a store that has only handed a call down: it took as long as the hop before it, which the
// store below has just added. A look at the clock before and after the call would cost more than all else that such a
// store does.
func (t *Trace) AddOver(origin string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	hop := Hop{Origin: origin}
	if n := len(t.hops); n > 0 {
		hop.Elapsed = t.hops[n-1].Elapsed
	} else {
		t.hops = t.room[:0]
	}
	t.hops = append(t.hops, hop)
}

// Hops is a copy of what was collected, innermost first.
func (t *Trace) Hops() []Hop {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Hop(nil), t.hops...)
}
