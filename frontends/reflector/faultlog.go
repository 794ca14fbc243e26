package reflector

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// faultLog reports what the store could not do: one line in a while, so that a full disk under load is not filled by
// its log. The statistics count all of it.
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
func (f *faultLog) report(err error) {
	if errors.Is(err, context.Canceled) {
		return // the end of a drain
	}
	now, next := int64(time.Since(f.start)), f.next.Load()
	if now < next || !f.next.CompareAndSwap(next, now+int64(f.every)) {
		f.quiet.Add(1)
		return
	}
	f.log.Warn("reflector: upload failed", "error", err, "not_logged", f.quiet.Swap(0))
}
