package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/sharded"
)

// Put stores a blob: the file in place, durable where the policy says so, then the row, then the answer. A blob that is
// there is touched.
func (s *files) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if v.Size() == 0 {
		return fmt.Errorf("disk: put: %w", blob.ErrEmpty)
	}
	if s.there(v) {
		s.touched.set(v.Hash())
		return nil
	}
	if s.ix.Err() != nil {
		s.stats.rejected.Add(1)
		return errIndexFailed
	}
	if s.unsynced.len() > 4*maxUnsynced { // the flusher does not keep up, and each holds a descriptor
		if err := s.flush(); err != nil {
			return fmt.Errorf("disk: put %s: %w", v.Hash().Short(), unavailable(err))
		}
	}
	s.stats.putting.Add(1)
	defer s.stats.putting.Add(-1)
	room := segments.Blocks(uint32(v.Size()))
	if err := s.reserve(ctx, room); err != nil {
		if errors.Is(err, blob.ErrFull) {
			s.stats.rejected.Add(1)
		}
		return fmt.Errorf("disk: put %s: %w", v.Hash().Short(), err)
	}
	defer s.space.settle(room)
	unlock, err := s.locks.lock(ctx, v.Hash())
	if err != nil {
		return fmt.Errorf("disk: put %s: %w", v.Hash().Short(), err)
	}
	defer unlock()
	if s.there(v) {
		s.touched.set(v.Hash())
		return nil
	}
	if err := s.store(v, kind); err != nil {
		s.stats.rejected.Add(1)
		return fmt.Errorf("disk: put %s: %w", v.Hash().Short(), err)
	}
	s.stats.puts.Add(1)
	s.stats.putBytes.Add(v.Size())
	if s.com.unsyncedBytes() > slackBytes/2 {
		poke(s.flushNow)
	}
	return nil
}

// there says whether the blob has a file that is served without reading it first.
func (s *files) there(v blob.Verified) bool {
	row, known := s.row(v.Hash())
	if !known || !s.trusted(v.Hash(), row, v.Size()) {
		return false
	}
	info, err := s.dir.Stat(v.Hash())
	return err == nil && info.Size == v.Size()
}

// store writes a blob, under its lock, over whatever has its name.
func (s *files) store(v blob.Verified, kind blob.Kind) error {
	h := v.Hash()
	if row, known := s.row(h); known {
		if err := s.erase(h, row, true); err != nil {
			return unavailable(err)
		}
	}
	s.open.remove(h, 0) // a file without a row, if an earlier commit failed
	w, err := s.write(v)
	if err != nil {
		s.fault("write", err)
		return unavailable(err)
	}
	now := index.Entry{Location: segments.Location{Length: uint32(v.Size())}, Seq: s.seq.next(), Kind: kind}
	if w == nil {
		now.Seq |= seqProven
	}
	if err := s.commitRow(h, nil, &now, false); err != nil {
		if w != nil {
			s.fault("close", w.Close())
		}
		s.fault("unlink", s.dir.Unlink(h))
		return err
	}
	switch {
	case w == nil:
	case s.sync == engine.SyncNever:
		s.fault("close", w.Close())
	default:
		if s.unsynced.add(w) >= maxUnsynced {
			poke(s.flushNow)
		}
	}
	return nil
}

// write puts the file in place. With sync always it is durable then, and nothing is returned.
func (s *files) write(v blob.Verified) (*sharded.Written, error) {
	if s.sync != engine.SyncAlways {
		return s.dir.Write(v)
	}
	err := s.dir.WriteDurable(v)
	if err != nil {
		s.fault("unlink", s.dir.Unlink(v.Hash()))
	}
	return nil, err
}

// unavailable gives an error of the disk the sentinel that callers branch on.
func unavailable(err error) error {
	switch {
	case errors.Is(err, blob.ErrUnavailable):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", blob.ErrUnavailable, err)
}

// Delete removes a blob, durably.
func (s *files) Delete(ctx context.Context, h blob.Hash) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	unlock, err := s.locks.lock(ctx, h)
	if err != nil {
		return fmt.Errorf("disk: delete %s: %w", h.Short(), err)
	}
	defer unlock()
	row, known := s.row(h)
	if err := s.erase(h, row, known); err != nil {
		return fmt.Errorf("disk: delete %s: %w", h.Short(), unavailable(err))
	}
	if known {
		s.stats.deletes.Add(1)
	}
	return nil
}

// maxUnsynced is how many blobs wait for the next flush before it is brought forward: each holds a descriptor.
const maxUnsynced = 256

// unsynced has the blobs that were put, are served, and are not durable yet. A blob comes and goes under its lock.
type unsynced struct {
	mu   sync.Mutex
	m    map[blob.Hash]*sharded.Written
	loss error // the first failed sync that no Flush has told of: its blob was dropped
}

func (u *unsynced) lose(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.loss = cmp.Or(u.loss, err)
}

func (u *unsynced) takeLoss() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := u.loss
	u.loss = nil
	return err
}

func (u *unsynced) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.m)
}

// add returns how many there are then.
func (u *unsynced) add(w *sharded.Written) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.m[w.Hash()] = w
	return len(u.m)
}

func (u *unsynced) has(h blob.Hash) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.m[h]
	return ok
}

// drop forgets a blob that is to be removed.
func (u *unsynced) drop(h blob.Hash) {
	u.mu.Lock()
	w := u.m[h]
	delete(u.m, h)
	u.mu.Unlock()
	if w != nil {
		_ = w.Close() // whatever became of it: the file goes; and a flush may have closed it
	}
}

// take forgets w, and says whether it was still what the blob is.
func (u *unsynced) take(w *sharded.Written) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	ok := u.m[w.Hash()] == w
	if ok {
		delete(u.m, w.Hash())
	}
	return ok
}

// some is a part of what there is, for one round of syncs.
func (u *unsynced) some() []*sharded.Written {
	u.mu.Lock()
	defer u.mu.Unlock()
	var ws []*sharded.Written
	for _, w := range u.m {
		if ws = append(ws, w); len(ws) == maxUnsynced/4 {
			break
		}
	}
	return ws
}

// closeAll closes what a failed index has left behind.
func (u *unsynced) closeAll() {
	for {
		ws := u.some()
		if len(ws) == 0 {
			return
		}
		for _, w := range ws {
			u.drop(w.Hash())
		}
	}
}

// Flush makes durable what was put so far; with sync never only the index. An error says that some of it was lost, now or
// since the last Flush.
func (s *files) Flush(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	err := s.flush()
	return cmp.Or(s.unsynced.takeLoss(), err)
}

// flush syncs files, then notes in the index that they are proven, and syncs that. What cannot be synced is dropped:
// what is on the device under its name is not known.
func (s *files) flush() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	for {
		ws := s.unsynced.some()
		if len(ws) == 0 {
			break
		}
		if err := s.flushSome(ws); err != nil {
			return err
		}
	}
	if s.com.unsyncedBytes() == 0 {
		return nil
	}
	return s.commit(&change{sync: true})
}

func (s *files) flushSome(ws []*sharded.Written) error {
	errs := s.dir.Sync(ws)
	hashes := make([]blob.Hash, len(ws))
	for i, w := range ws {
		hashes[i] = w.Hash()
	}
	defer s.locks.lockAll(hashes)()
	c := &change{sync: true}
	for i, w := range ws {
		if !s.unsynced.take(w) {
			continue // removed, or put again
		}
		row, known := s.row(w.Hash())
		if !known {
			continue
		}
		if errs[i] != nil {
			s.fault("sync", errs[i])
			s.unsynced.lose(errs[i])
			s.log.Error("a blob could not be made durable and is dropped", "blob", w.Hash().String(), "err", errs[i])
			if err := s.erase(w.Hash(), row, true); err != nil {
				return err
			}
			continue
		}
		now := row
		now.Seq |= seqProven
		c.rows = append(c.rows, rowChange{w.Hash(), &row, &now})
	}
	return s.commit(c)
}
