package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/index"
)

// Close ends the goroutines, makes durable what was put, in every policy, and gives the lock back. It waits for no reader:
// handles that are out stay good, and where there are any it is the release of the last that gives the lock back, so
// that nobody opens the mount and punches what they read. Close again returns what the first call did.
func (e *Engine) Close() error {
	e.closing.Do(func() { e.closeErr = e.close() })
	return e.closeErr
}

func (e *Engine) close() error {
	e.closed.Store(true)
	close(e.stopping)
	e.workers.Wait()
	e.writers.Lock()   // puts and deletes that are under way end first
	e.writers.Unlock() //nolint:staticcheck // an empty section is the point
	err := e.finish()
	e.stopCommitter()
	err = errors.Join(err, e.ix.Close())
	return errors.Join(err, e.closeSegments())
}

// closeSegments closes the files and then the mount, all of it now or, of what is pinned, when that is released.
func (e *Engine) closeSegments() (err error) {
	all := e.segs.all()
	var left atomic.Int64
	left.Store(int64(len(all)) + 1)
	closeMount := func() error {
		if left.Add(-1) > 0 {
			return nil
		}
		return e.mnt.Close()
	}
	for _, s := range all {
		err = errors.Join(err, s.CloseThen(func() {
			if cerr := closeMount(); cerr != nil {
				e.ioError("close", cerr) // on a reader's goroutine: nobody else is told
			}
		}))
	}
	return errors.Join(err, closeMount())
}

// stopCommitter ends the committer once its queue is empty, or leaves it behind where the index has failed.
func (e *Engine) stopCommitter() {
	close(e.com.stop)
	select {
	case <-e.com.idle:
	case <-e.ix.Failed():
	}
}

// finish seals and syncs everything, so that the next open has nothing to do.
func (e *Engine) finish() error {
	if err := e.ix.Err(); err != nil {
		if errors.Is(err, index.ErrCorrupt) {
			_ = e.askRebuild(err) // if it could not be noted when it was met
		}
		return err
	}
	e.act.mu.Lock()
	for _, s := range e.act.segs {
		e.sealInMemory(s)
	}
	e.act.segs = nil
	e.act.notifyLocked()
	e.act.mu.Unlock()
	e.finishSealing()
	if err := e.flush(); err != nil {
		return err
	}
	if err := e.takeLoss(); err != nil {
		return fmt.Errorf("engine: what could not be made durable is dropped: %w", err)
	}
	e.reclaim()
	clean := e.settled() && e.tighten()
	return e.commit(&change{sync: true, apply: func(g *group) {
		next := g.first
		if e.unfinished() || e.anyFailed() {
			next = e.marked
		}
		g.batch.SetMeta(index.Meta{NextSeq: next, Clean: clean})
	}})
}

// anyFailed says, on the committer, whether a segment of which a sync failed has rows that no mark covers.
func (e *Engine) anyFailed() bool {
	return slices.ContainsFunc(e.writable(), func(s *seg) bool { return s.row.State == index.StateFailed })
}

// tighten makes durable what was marked dead, punched and cut: the next open will not look for it. It says whether it
// could.
func (e *Engine) tighten() bool {
	for _, s := range e.segs.all() {
		if !s.loose.Load() {
			continue
		}
		if err := s.syncs.run(s.Sync); err != nil {
			e.writeFailed(s, "sync", err)
			return false
		}
	}
	return true
}

// settled says whether nothing is left for the next open: every segment sealed and durable, and no dead extent held by
// a reader, or kept for another reason.
func (e *Engine) settled() bool {
	if e.recovering() || e.unfinished() {
		return false
	}
	for _, s := range e.segs.all() {
		s.mu.Lock()
		stray := s.stray > 0 || s.sealing
		s.mu.Unlock()
		row := e.rowOf(s)
		if stray || s.owes.Load() || s.Pins() > 0 || row.State == index.StateActive || row.Watermark < row.Slots {
			return false
		}
	}
	return true
}
