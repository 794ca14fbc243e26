package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// lookupTries bounds the look-ups of one Get: each retry means that the record was replaced after the look-up.
const lookupTries = 4

// Has says whether the index knows the blob.
func (e *Engine) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := e.usable(ctx); err != nil {
		return false, err
	}
	ent, err := e.ix.Get(h)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return false, nil
	case err != nil:
		return false, e.indexError(err)
	}
	return e.serves(ent), nil
}

// Get pins a blob. What cannot be read, or is not what the index says, is a miss: it is noted, and removed behind.
func (e *Engine) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	if hd, ok := e.getHot(h); ok {
		return hd, nil
	}
	for range lookupTries {
		ent, err := e.ix.Get(h)
		if errors.Is(err, blob.ErrNotFound) {
			e.stats.misses.Add(1)
			return nil, blob.ErrNotFound
		}
		if err != nil {
			return nil, e.indexError(err)
		}
		s := e.segs.get(ent.Segment)
		if s == nil {
			if !e.recovering() {
				e.condemn(h, ent, nil)
			}
			break
		}
		if !s.Pin(ent.Slot) {
			continue
		}
		hd, err := e.openTrusted(s, h, ent)
		if err == nil {
			e.hot.put(h, ent)
			return e.hit(hd), nil
		}
		s.Unpin(ent.Slot)
		if e.closed.Load() {
			return nil, errClosed
		}
		if diedMeanwhile(s, ent.Slot, err) {
			continue
		}
		e.readFailed(h, ent, err)
		break
	}
	e.stats.misses.Add(1)
	return nil, blob.ErrNotFound
}

// getHot is Get for what was read a moment ago. False says nothing: the index knows.
func (e *Engine) getHot(h blob.Hash) (blob.Handle, bool) {
	ent, ok := e.hot.get(h)
	if !ok {
		return nil, false
	}
	if s := e.segs.get(ent.Segment); s != nil && s.trusted(ent.Slot) && s.Pin(ent.Slot) {
		hd, err := e.openRecord(s, h, ent)
		if err == nil {
			return e.hit(hd), true
		}
		s.Unpin(ent.Slot)
		if !e.closed.Load() && !diedMeanwhile(s, ent.Slot, err) {
			e.ioError("read", err) // what follows from it is for the second try to say
		}
	}
	e.hot.drop(h)
	return nil, false
}

// hit counts a handle that goes out.
func (e *Engine) hit(hd *segments.Handle) *segments.Handle {
	e.stats.hits.Add(1)
	e.stats.hitBytes.Add(hd.Size())
	return hd
}

// openTrusted is openRecord of a record that a failed sync may have lost: it is first read from the device, past the
// page cache, which shows what was written and not what arrived.
func (e *Engine) openTrusted(s *seg, h blob.Hash, ent index.Entry) (*segments.Handle, error) {
	if !s.trusted(ent.Slot) {
		if err := s.ProveOnDevice(h, ent.Location); err != nil {
			return nil, err
		}
		s.setDurable(ent.Slot)
	}
	return e.openRecord(s, h, ent)
}

// openRecord makes a handle of a pinned record. The first time in this process the slot must agree with the row, and
// the payload with its CRC: that covers an index that is older or younger than the segments, and whatever a power cut
// left of either.
func (e *Engine) openRecord(s *seg, h blob.Hash, ent index.Entry) (*segments.Handle, error) {
	first := !s.Checked(ent.Slot)
	if first {
		rec, err := s.ReadSlot(ent.Slot)
		if err != nil {
			return nil, err
		}
		if rec.Hash != h || rec.Location != ent.Location || rec.Dead {
			return nil, fmt.Errorf("engine: %s: %w: slot %d:%d holds another record", h.Short(), blob.ErrCorrupt, ent.Segment, ent.Slot)
		}
		ok, err := s.HasData(ent.Location)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("engine: %s: %w: %d:%d has a slot and no payload", h.Short(), blob.ErrCorrupt, ent.Segment, ent.Slot)
		}
	}
	hd, err := s.OpenHandle(ent.Location, e.bufs, first)
	if err != nil {
		return nil, err
	}
	if first {
		s.SetChecked(ent.Slot)
	}
	return hd, nil
}

// diedMeanwhile says whether a record that was read as damaged was removed after its pin: its slot is marked dead at once,
// and its payload stays for the pin. Nothing is wrong with it.
func diedMeanwhile(s *seg, slot uint32, err error) bool {
	return s.Dead(slot) && (errors.Is(err, blob.ErrCorrupt) || errors.Is(err, segments.ErrBadSlot))
}

// readFailed sorts out why a record could not be read. What is wrong with the record condemns it; what is wrong with
// the process (no descriptors, no memory) does not.
func (e *Engine) readFailed(h blob.Hash, ent index.Entry, err error) {
	kind := "read"
	switch {
	case ofTheProcess(err):
		e.ioError(kind, err)
		return
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, segments.ErrBadSlot), errors.Is(err, segments.ErrBadHeader):
		kind = "corrupt"
	case errors.Is(err, syscall.EIO), errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errors.ErrUnsupported): // after a failed sync nothing can prove it
	default:
		e.ioError(kind, err)
		return
	}
	e.ioError(kind, err)
	e.condemn(h, ent, err)
}

// ofTheProcess says whether an error is about what the process has run out of, and says nothing of a record.
func ofTheProcess(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// condemn takes a record out of the index, behind. With the queue full it is left for the next reader to find.
func (e *Engine) condemn(h blob.Hash, ent index.Entry, why error) {
	if s := e.segs.get(ent.Segment); s != nil {
		s.setBad(ent.Slot, errors.Is(why, syscall.EIO)) // from now on a Put stores the blob anew
	}
	select {
	case e.condemned <- condemnation{h, ent, why}:
	default:
	}
}

type condemnation struct {
	hash  blob.Hash
	entry index.Entry
	why   error // nil: the segment is gone
}

// janitor removes what was condemned.
func (e *Engine) janitor() {
	for {
		select {
		case <-e.stopping:
			return
		case c := <-e.condemned:
			e.purge(c)
		}
	}
}

func (e *Engine) purge(c condemnation) {
	var r removed
	var ok bool
	err := e.commit(&change{sync: true, apply: func(g *group) {
		r, ok = g.remove(c.hash, func(now index.Entry) bool { return now.Location == c.entry.Location })
	}})
	if err != nil || !ok {
		return
	}
	e.stats.quarantined.Add(1)
	if c.why != nil {
		e.log.Error("a record cannot be read and was dropped; it will be fetched again when asked for",
			"blob", c.hash.String(), "segment", uint64(c.entry.Segment), "slot", c.entry.Slot, "err", c.why)
	}
	e.bury(r)
}
