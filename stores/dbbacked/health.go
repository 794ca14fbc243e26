package dbbacked

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/metadata"
)

// health says in the log when the catalogue fails, and when it is back.
type health struct {
	log    *slog.Logger
	errors atomic.Uint64

	mu    sync.Mutex
	since time.Time // of the first failure in a row; zero while all is well
	last  time.Time // that the log said so
}

// remindAfter is how often the log repeats that the catalogue fails.
const remindAfter = 10 * time.Minute

// report notes what a call of the catalogue came to.
func (s *Store) report(err error) {
	if err != nil && (errors.Is(err, context.Canceled) || s.stopping != nil && s.stopping.Err() != nil) {
		return
	}
	h := &s.health
	if err != nil {
		h.errors.Add(1)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil && h.since.IsZero():
	case err == nil:
		h.log.Info("the catalogue answers again", "after", now.Sub(h.since).Round(time.Second))
		h.since, h.last = time.Time{}, time.Time{}
	case now.Sub(h.last) > remindAfter:
		if h.since.IsZero() {
			h.since = now
		}
		h.last = now
		h.log.Error("the catalogue fails; blobs are served all the same"+s.consequence(err), "for", now.Sub(h.since).Round(time.Second), "err", err)
	}
}

// consequence says what does not work, and what to do.
func (s *Store) consequence(err error) string {
	text := ", and what changes is noted and told when it is back"
	if s.o.Sync == WriteThrough {
		text = ", and uploads are refused"
	}
	switch {
	case errors.Is(err, metadata.ErrDenied):
		return text + "; correct user, password and database of db_backed, or what the database grants them, and restart"
	case errors.Is(err, metadata.ErrSchema):
		return text + "; make its tables with create_schema: true, or with what `prism schema` prints"
	case errors.Is(err, metadata.ErrReadOnly):
		return text + "; point host at the server that takes writes"
	}
	return text
}

// failing says since when the catalogue fails, or zero.
func (h *health) failing() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since
}

// backoff is the pauses between tries.
type backoff struct{ last time.Duration }

const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 15 * time.Second
)

// next is the next pause: twice the last one, and up to a quarter more.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, backoffMin), backoffMax)
	return b.last + rand.N(b.last/4+1)
}

func (b *backoff) reset() { b.last = 0 }

// sleep waits, and says whether the store is still open.
func (s *Store) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stopping.Done():
		return false
	}
}
