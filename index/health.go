package index

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/index/guardfs"
)

// pebbleLogger takes what Pebble logs. Pebble ends the process on a call of Fatalf that returns, or goes on where it
// must not; here the index fails and the goroutine sleeps.
type pebbleLogger struct {
	log   *slog.Logger
	guard *guardfs.FS
}

func (l *pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l *pebbleLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l *pebbleLogger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error(text)
	// Failed writes are parked before Pebble knows of them. What else it gives up for is that a file is not as it must be.
	l.guard.Halt(fmt.Errorf("%w: pebble gave up: %s", ErrCorrupt, text))
}

// events counts what Pebble reports.
type events struct {
	slowWrites  atomic.Int64
	writeStalls atomic.Int64
	flushes     atomic.Int64
	compactions atomic.Int64
}

// listener latches what Pebble reports as damage. Its functions are called with locks of Pebble held: they must not call
// back, and do not block.
func (x *Index) listener(log *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		// A table that cannot be read in the background will not be readable the next time either, and without
		// compactions the index comes to a halt: better to rebuild it.
		BackgroundError: func(err error) {
			if blames(err) {
				err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
			x.guard.Fail(fmt.Errorf("background work: %w", err))
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			x.guard.Fail(fmt.Errorf("%w: %s: %w", ErrCorrupt, info.Path, info.Details))
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			x.events.writeStalls.Add(1)
			log.Warn("index: writes wait", "reason", info.Reason)
		},
		FlushEnd:      func(pebble.FlushInfo) { x.events.flushes.Add(1) },
		CompactionEnd: func(pebble.CompactionInfo) { x.events.compactions.Add(1) },
	}
}

// diskSlow is told of a write, sync or rename that takes long, while it does.
func (x *Index) diskSlow(info vfs.DiskSlowInfo) {
	x.events.slowWrites.Add(1)
	x.log.Warn("index: the disk is slow", "path", info.Path, "op", info.OpType.String(), "elapsed", info.Duration)
}
