package engine

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// Put stores a blob. It returns once the bytes are where the sync policy promises and the index points at them. A blob
// that is there already is touched. Errors: blob.ErrFull when nothing can be evicted for it, blob.ErrUnavailable when
// the disk fails; in both cases the mount is as before. When ctx ends while the disk keeps others waiting, so does Put,
// and the blob may be stored all the same; only the writing of its own bytes is waited for in any case.
func (e *Engine) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	if v.Size() == 0 {
		return fmt.Errorf("engine: put: %w", blob.ErrEmpty)
	}
	e.stats.putting.Add(1)
	defer e.stats.putting.Add(-1)
	if err := e.waitLate(ctx, v.Hash()); err != nil {
		return err
	}
	e.writers.RLock()
	s, rec, err := e.write(ctx, v, kind)
	if s == nil {
		e.writers.RUnlock()
		return err
	}
	return e.withinOf(ctx, v.Hash(), func() error {
		defer e.writers.RUnlock()
		return e.store(s, rec, err)
	})
}

// write reserves a record and writes it, for which it needs the caller's bytes. With no segment there is nothing to be
// stored; else store needs the error.
func (e *Engine) write(ctx context.Context, v blob.Verified, kind blob.Kind) (*seg, segments.Record, error) {
	if err := e.usable(ctx); err != nil {
		return nil, segments.Record{}, err
	}
	if e.ix.Err() != nil {
		return nil, segments.Record{}, errIndexFailed
	}
	if ent, err := e.ix.Get(v.Hash()); err == nil {
		if s := e.segs.get(ent.Segment); s != nil && s.sound(ent.Slot) {
			s.Touch(ent.Slot)
			return nil, segments.Record{}, e.promise(s, ent.Slot)
		}
	}
	s, loc, err := e.reserve(ctx, uint32(v.Size()))
	if err != nil {
		return nil, segments.Record{}, err
	}
	rec := segments.Record{
		Hash: v.Hash(), Location: loc, Seq: e.seq.Add(1), Time: uint32(time.Now().Unix()), Kind: kind,
	}
	rec.CRC = v.CRC32C()
	err = s.Write(rec, v.Bytes())
	s.writers.Add(-1)
	return s, rec, err
}

// promise makes durable, where the policy promises that, what another call or run stored.
func (e *Engine) promise(s *seg, slot uint32) error {
	if e.o.Sync != SyncAlways || slot < e.rowOf(s).Watermark || s.isDurable(slot) {
		return nil
	}
	if err := s.syncs.run(s.Sync); err != nil {
		e.writeFailed(s, "sync", err)
		return fmt.Errorf("engine: put: %w: %w", blob.ErrUnavailable, err)
	}
	s.setDurable(slot)
	return nil
}

// store syncs a record that was written where the policy says so, and commits it. err is that of the write. Whatever
// happens, the slot ends up completed.
func (e *Engine) store(s *seg, rec segments.Record, err error) error {
	if err != nil {
		e.writeFailed(s, "write", err)
	} else if e.o.Sync == SyncAlways {
		if err = s.syncs.run(s.Sync); err != nil {
			e.writeFailed(s, "sync", err)
		} else {
			s.setDurable(rec.Slot)
		}
	}
	if err != nil {
		e.abandon(s, rec.Location)
		if errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("engine: put %s: %w: %w", rec.Hash.Short(), blob.ErrFull, err)
		}
		return fmt.Errorf("engine: put %s: %w: %w", rec.Hash.Short(), blob.ErrUnavailable, err)
	}
	won, distrusted := false, false
	var old removed
	err = e.commit(&change{
		apply: func(g *group) {
			if distrusted = !s.trusted(rec.Slot); distrusted {
				return // a sync of the segment failed meanwhile
			}
			g.sync = g.sync || s.row.State == index.StateFailed // recovery adds nothing from such a segment's slots
			old = g.replace(rec.Hash)
			if won = g.put(s, rec); !won {
				g.batch.Tombstone(rec.Segment, rec.Slot) // else a power cut could bring it back after the winner was deleted
			}
		},
		after: func() {
			if won {
				s.SetFresh(rec.Slot)
				e.complete(s, rec.Slot)
			}
		},
	})
	switch {
	case err != nil && e.ix.Err() != nil:
		// The slot stays incomplete, so no watermark passes it: the next open finds the record and adds it.
		return err
	case err == nil && distrusted:
		err = fmt.Errorf("engine: put %s: %w: a sync of its segment failed", rec.Hash.Short(), blob.ErrUnavailable)
	}
	if err != nil {
		e.abandon(s, rec.Location)
		return err
	}
	e.bury(old)
	if !won {
		e.abandon(s, rec.Location)
		if ent, err := e.ix.Get(rec.Hash); err == nil {
			if winner := e.segs.get(ent.Segment); winner != nil {
				return e.promise(winner, ent.Slot)
			}
		}
		return nil
	}
	e.stats.puts.Add(1)
	e.stats.putBytes.Add(int64(rec.Length))
	return nil
}

// replace takes out an entry that nothing can be read from, so that the blob can be put again. What it returns is to be
// buried: a reader may be about to prove it after all.
func (g *group) replace(h blob.Hash) removed {
	dead := false
	r, _ := g.remove(h, func(ent index.Entry) bool {
		s := g.e.segs.get(ent.Segment)
		dead = s != nil && s.Dead(ent.Slot)
		return s == nil || dead || !s.sound(ent.Slot)
	})
	if dead {
		return removed{} // it was
	}
	return r
}

// complete notes that nothing more will be done for a slot, and wakes the flusher when that lets it finish a segment.
func (e *Engine) complete(s *seg, slot uint32) {
	s.Complete(slot)
	if s.Prefix() == s.Reserved() {
		s.mu.Lock()
		sealing := s.sealing
		s.mu.Unlock()
		if sealing {
			poke(e.flushNow)
		}
	}
}

// abandon gives up a reserved slot: whatever was written of it is marked dead, its space is given back, and the
// watermark may pass it.
func (e *Engine) abandon(s *seg, loc segments.Location) {
	s.Kill(loc.Slot, func() { e.discard(s, loc) })
	s.loose.Store(true)
	e.markDead(s, loc.Slot)
	e.complete(s, loc.Slot)
}

// Delete removes a blob. It is gone, durably, when Delete returns; handles that are out stay good. A missing blob is no
// error. When ctx ends first, the blob may be gone or not.
func (e *Engine) Delete(ctx context.Context, h blob.Hash) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	if err := e.WaitRecovered(ctx); err != nil { // what recovery has yet to find could otherwise come back
		return err
	}
	if err := e.waitLate(ctx, h); err != nil {
		return err
	}
	return e.withinOf(ctx, h, func() error {
		e.writers.RLock()
		defer e.writers.RUnlock()
		if e.closed.Load() {
			return errClosed
		}
		return e.remove(h)
	})
}

func (e *Engine) remove(h blob.Hash) error {
	var r removed
	var ok bool
	err := e.commit(&change{sync: true, apply: func(g *group) { r, ok = g.remove(h, nil) }})
	if err != nil {
		return err
	}
	if ok {
		e.bury(r)
		e.stats.deletes.Add(1)
	}
	return nil
}
