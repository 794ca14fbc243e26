package lists

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// loop refreshes a list until it is closed.
type loop struct {
	name     string // of the list, for the log
	log      *slog.Logger
	interval time.Duration
	retry    time.Duration // after the first failure; it doubles up to interval
	// refresh brings the list up to date. soon asks to do so again as after a failure.
	refresh func(context.Context) (soon bool, err error)

	stop    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	stats Stats     // without Age
	good  time.Time // when the state was good, or when the loop was made
}

// start begins to refresh, at once.
func (l *loop) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.running.Go(func() { l.run(ctx) })
}

// Close ends a refresh under way and waits for it.
func (l *loop) Close() {
	l.stop()
	l.running.Wait()
}

func (l *loop) run(ctx context.Context) {
	wait := l.retry
	for {
		soon, err := l.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		next := l.interval
		if soon || err != nil {
			next, wait = min(wait, l.interval), min(2*wait, l.interval)
		} else {
			wait = l.retry
		}
		next += time.Duration((rand.Float64() - 0.5) / 5 * float64(next)) // so that servers are not asked by all at once
		l.note(err, next)
		if pauseFor(ctx, next) != nil {
			return
		}
	}
}

// note counts a refresh, and logs what failed, or that it works again.
func (l *loop) note(err error, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Refreshes++
	before := l.stats.LastError
	if err == nil {
		l.stats.LastError = ""
		if before != "" || l.stats.Refreshes == 1 {
			l.log.Info("lists: the list of "+l.name+" blobs is up to date", "entries", l.stats.Entries,
				"skipped", l.stats.Skipped, "unresolved", l.stats.Unresolved)
		}
		return
	}
	l.stats.Failures++
	l.stats.LastError = err.Error()
	state := "none"
	if l.stats.Known {
		state = time.Since(l.good).Round(time.Second).String() + " old"
	}
	l.log.Warn("lists: the list of "+l.name+" blobs cannot be refreshed; the last good one stays",
		"error", err, "last_good", state, "entries", l.stats.Entries, "retry_in", next.Round(time.Second))
}

// update changes the statistics.
func (l *loop) update(change func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.stats)
}

// isGood notes that the state was good at a time.
func (l *loop) isGood(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Known, l.good = true, at
}

// Stats is a snapshot.
func (l *loop) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Age = max(time.Since(l.good), 0)
	return s
}
