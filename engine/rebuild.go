package engine

import (
	"errors"

	"github.com/OdyseeTeam/prism/index"
)

// openIndex opens the index. One that is damaged, or was found to be by the last run, is moved to quarantine, and made
// anew from the segments: they describe themselves.
func (e *Engine) openIndex() (*index.Index, error) {
	o := index.Options{
		FS: e.indexFS(), Dir: e.mnt.IndexDir(), CacheBytes: e.o.IndexCache, Logger: e.log, OnFailure: e.indexFailed,
	}
	why, asked, err := e.mnt.RebuildRequested()
	if err != nil {
		return nil, err
	}
	if !asked {
		x, err := index.Open(o)
		if err == nil || !errors.Is(err, index.ErrCorrupt) {
			return x, err
		}
		e.ioError("corrupt", err)
		why = err.Error()
	}
	e.log.Error("the index is damaged; it is moved to quarantine and rebuilt from the segments", "dir", e.o.Dir, "err", why)
	if err := e.mnt.RenewIndex(why); err != nil {
		return nil, err
	}
	return index.Open(o)
}

// indexFailed runs when the index has latched a failure.
func (e *Engine) indexFailed(err error) {
	e.ioError("index", err)
	e.log.Error("the index has failed; hits go on, everything else passes through until a restart", "dir", e.o.Dir, "err", err)
	if errors.Is(err, index.ErrCorrupt) {
		_ = e.askRebuild(err) // logged there
	}
}

// askRebuild notes on disk, outside of the index, that the next open must make the index anew: what is damaged would be
// met again, or not be met while it misleads. What could not be noted is tried again by Close.
func (e *Engine) askRebuild(why error) error {
	e.askMu.Lock()
	defer e.askMu.Unlock()
	if e.asked {
		return nil
	}
	if err := e.mnt.RequestRebuild(why.Error()); err != nil {
		e.ioError("quarantine", err)
		e.log.Error("it cannot be noted that the index is damaged; move the folder index out of the mount before the next start",
			"dir", e.o.Dir, "err", err)
		return err
	}
	e.asked = true
	e.log.Error("the index is damaged; the next start makes it anew from the segments", "dir", e.o.Dir, "err", why)
	return nil
}
