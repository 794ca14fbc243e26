package serving

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// FaultLog reports what the store could not do: one line in a while, so that an origin that is down under load does
// not fill a disk. The statistics count all of it.
type FaultLog struct {
	log   *slog.Logger
	what  string
	every time.Duration
	start time.Time
	next  atomic.Int64 // when the next line may be written, after start
	quiet atomic.Int64 // failures since the last line
}

// NewFaultLog writes at most one line in each while. what is the text of the lines.
func NewFaultLog(log *slog.Logger, what string, every time.Duration) *FaultLog {
	return &FaultLog{log: log, what: what, every: every, start: time.Now()}
}

// Report logs err, or counts it for the next line.
func (f *FaultLog) Report(h blob.Hash, err error) {
	if errors.Is(err, blob.ErrBusy) || errors.Is(err, context.Canceled) {
		return // load, and clients that leave
	}
	now, next := int64(time.Since(f.start)), f.next.Load()
	if now < next || !f.next.CompareAndSwap(next, now+int64(f.every)) {
		f.quiet.Add(1)
		return
	}
	f.log.Warn(f.what, "blob", h.Short(), "error", err, "not_logged", f.quiet.Swap(0))
}
