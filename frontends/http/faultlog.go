package httpd

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// faultLog reports what the store could not do: one line in a while, so that an origin that is down under load does
// not fill a disk. The statistics count all of it.
type faultLog struct {
	log   *slog.Logger
	every time.Duration
	start time.Time
	next  atomic.Int64 // when the next line may be written, after start
	quiet atomic.Int64 // failures since the last line
}

func newFaultLog(log *slog.Logger, every time.Duration) *faultLog {
	return &faultLog{log: log, every: every, start: time.Now()}
}

// report logs err, or counts it for the next line.
func (f *faultLog) report(h blob.Hash, err error) {
	if errors.Is(err, blob.ErrBusy) || errors.Is(err, context.Canceled) {
		return // load, and clients that leave
	}
	now, next := int64(time.Since(f.start)), f.next.Load()
	if now < next || !f.next.CompareAndSwap(next, now+int64(f.every)) {
		f.quiet.Add(1)
		return
	}
	f.log.Warn("http: request failed", "blob", h.Short(), "error", err, "not_logged", f.quiet.Swap(0))
}
