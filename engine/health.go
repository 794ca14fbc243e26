package engine

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// indexFS is the mount's file system as the index wants it.
func (e *Engine) indexFS() vfs.FS { return pebblefs.New(e.o.FS) }

// indexError is what a caller is told when the index could not answer.
func (e *Engine) indexError(err error) error {
	e.ioError("index", err)
	if errors.Is(err, index.ErrCorrupt) {
		_ = e.askRebuild(err) // logged there
	}
	return fmt.Errorf("engine: %w: %w", blob.ErrUnavailable, err)
}

// writeFailed takes a segment out of use after a failed write or sync. A failed sync is not tried again, and says
// nothing about which of the bytes since the last good one are on the device: from here on what lies above the watermark
// is served only after it was found there (openTrusted). A failed write leaves no doubt about other records, so the
// segment is only sealed.
func (e *Engine) writeFailed(s *seg, kind string, err error) {
	if s.isGone() {
		return
	}
	e.ioError(kind, err)
	first := e.act.drop(s)
	if s.written {
		e.sealInMemory(s)
	}
	poke(e.rollNow)
	if kind != "sync" {
		if first {
			e.log.Error("a segment took a write error and is sealed", "path", s.Path(), "err", err)
		}
		return
	}
	e.com.rows.RLock()
	mark := s.row.Watermark
	e.com.rows.RUnlock()
	if s.trust.Swap(mark) == mark {
		return
	}
	e.lossMu.Lock()
	e.loss = cmp.Or(e.loss, err)
	e.lossMu.Unlock()
	e.log.Error("a segment could not be synced; what was not durable before is served only where the device turns out to hold it", "path", s.Path(), "err", err)
	_ = e.commit(&change{apply: func(g *group) {
		if !s.isGone() {
			g.setRow(s, func(r *index.SegmentRow) { r.State = index.StateFailed })
		}
	}})
}

// takeLoss gives the first failed sync that Flush and Close have not told of: what it should have made durable is gone.
func (e *Engine) takeLoss() error {
	e.lossMu.Lock()
	defer e.lossMu.Unlock()
	err := e.loss
	e.loss = nil
	return err
}

// ioError counts a fault by its kind.
func (e *Engine) ioError(kind string, err error) {
	if err == nil || errors.Is(err, errClosed) {
		return
	}
	e.stats.ioError(kind)
}
