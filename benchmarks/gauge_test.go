package benchmarks

import (
	"slices"
	"sync"
	"time"
)

// gauge is a goroutine that does nothing but wake up every millisecond, and notes when it was held up: what the machine and
// the runtime do to everybody.
type gauge struct {
	stop, done chan struct{}
	mu         sync.Mutex
	held       []interval // of more than a few milliseconds each, oldest first
	worst      time.Duration
}

type interval struct{ from, to time.Time }

func startGauge() *gauge {
	g := &gauge{stop: make(chan struct{}), done: make(chan struct{})}
	go g.run()
	return g
}

func (g *gauge) run() {
	defer close(g.done)
	const tick, noted = time.Millisecond, 5 * time.Millisecond
	for {
		due := time.Now().Add(tick)
		select {
		case <-g.stop:
			return
		default:
			time.Sleep(tick)
		}
		now := time.Now()
		g.mu.Lock()
		g.worst = max(g.worst, now.Sub(due))
		if now.Sub(due) > noted {
			g.held = append(g.held, interval{due, now})
		}
		g.mu.Unlock()
	}
}

// late is for how long it was held up between two times.
func (g *gauge) late(from, to time.Time) (d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range slices.Backward(g.held) {
		if h.to.Before(from) {
			break
		}
		a, z := h.from, h.to
		if a.Before(from) {
			a = from
		}
		if z.After(to) {
			z = to
		}
		d += max(0, z.Sub(a))
	}
	return d
}

// end stops it and says how late it was at worst.
func (g *gauge) end() time.Duration {
	close(g.stop)
	<-g.done
	return g.worst
}

// percentile of v, which is sorted in place.
func percentile(v []float64, p float64) float64 {
	slices.Sort(v)
	return v[min(len(v)-1, int(float64(len(v))*p))]
}
