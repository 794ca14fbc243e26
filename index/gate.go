package index

import (
	"math"
	"sync/atomic"
)

// gate counts callers inside, so that closing can wait for the last one. Going through costs two atomic additions.
type gate struct {
	n     atomic.Int64  // callers inside; below 0 once the gate is shut
	quiet chan struct{} // closed by whoever finds the gate shut and nobody inside
}

// shutBias is added when the gate is shut, and once more when it was found empty after that.
const shutBias = math.MinInt64 / 4

// enter says whether the caller is inside; if so it must leave.
func (g *gate) enter() bool {
	if g.n.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.n.Add(-1) == shutBias {
		g.empty()
	}
}

// shut lets nobody in any more. It is called once.
func (g *gate) shut() {
	if g.n.Add(shutBias) == shutBias {
		g.empty()
	}
}

// empty closes quiet once, although those who were turned away bring the count to shutBias again.
func (g *gate) empty() {
	if g.n.CompareAndSwap(shutBias, 2*shutBias) {
		close(g.quiet)
	}
}
