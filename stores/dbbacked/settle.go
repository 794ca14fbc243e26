package dbbacked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

const (
	settleBatch   = 1000
	settleGather  = 200 * time.Millisecond // how long news may gather before the catalogue is told
	settleTimeout = time.Minute            // of one batch
	// leftoverPause is how long what could not be told by itself, while other things could, is left alone.
	leftoverPause = 30 * time.Second
)

// settleLoop works the journal off.
func (s *Store) settleLoop() {
	retry := backoff{}
	from, left, begun := uint64(0), false, time.Now()
	for {
		entries, next, err := s.journal.Next(from, settleBatch)
		if err == nil {
			var some bool
			some, err = s.settle(entries)
			left = left || some
		}
		if s.stopping.Err() != nil {
			return
		}
		if err != nil {
			if !s.sleep(retry.next()) {
				return
			}
			continue
		}
		retry.reset()
		from = next
		if len(entries) == settleBatch {
			continue
		}
		if !s.waitForNews(left) {
			return
		}
		if left && time.Since(begun) > leftoverPause {
			from, left, begun = 0, false, time.Now()
		}
	}
}

// waitForNews waits until there may be something to tell, and says whether the store is still open.
func (s *Store) waitForNews(left bool) bool {
	var again <-chan time.Time
	if left {
		t := time.NewTimer(leftoverPause)
		defer t.Stop()
		again = t.C
	}
	select {
	case <-s.stopping.Done():
		return false
	case <-again:
		return true
	case <-s.journal.Ready():
		return s.sleep(settleGather)
	}
}

// settle tells the catalogue what is true of the blobs in a batch, and settles their entries. left says that some could
// not be told, for reasons of their own; with an error none of the rest could.
func (s *Store) settle(batch []journal.Entry) (left bool, err error) {
	if len(batch) == 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(s.stopping, settleTimeout)
	defer cancel()
	told, err := s.tell(ctx, batch)
	if err == nil {
		s.report(nil)
		s.follow.batches.Add(1)
		return len(told) < len(batch), s.journal.Settle(told)
	}
	if concernsAll(err) || len(batch) == 1 {
		s.report(err)
		if len(batch) == 1 && !concernsAll(err) {
			s.log.Error("the catalogue cannot be told of a blob; it is tried again later", "blob", batch[0].Hash.String(), "err", err)
			return true, nil
		}
		return false, err
	}
	for i := range batch { // one of them is at fault: the others must not wait for it
		some, err := s.settle(batch[i : i+1])
		if err != nil {
			return left, err
		}
		left = left || some
	}
	return left, nil
}

// concernsAll says whether an error is about the catalogue and not about what it was told.
func concernsAll(err error) bool {
	for _, all := range [...]error{
		metadata.ErrUnavailable, metadata.ErrDenied, metadata.ErrSchema, metadata.ErrReadOnly,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, all) {
			return true
		}
	}
	return false
}

// found is a blob as the store below has it.
type found struct {
	metadata.Blob
	kind blob.Kind
}

// plan is what the catalogue is to be told.
type plan struct {
	puts []metadata.Blob
	sds  []metadata.Blob
	gone []blob.Hash
	uses []metadata.Access
}

// tell tells the catalogue of a batch, and gives the entries of which it was told all.
func (s *Store) tell(ctx context.Context, batch []journal.Entry) (told []journal.Entry, err error) {
	p, told, err := s.plan(ctx, batch)
	if err != nil {
		return nil, err
	}
	if len(p.puts) > 0 {
		if err := s.cat.PutBlobs(ctx, p.puts); err != nil {
			return nil, err
		}
	}
	for _, b := range p.sds {
		data, err := s.read(ctx, b.Hash)
		if err != nil { // it is gone, and that is noted, or cannot be read now
			told = without(told, b.Hash)
			continue
		}
		if err := s.record(ctx, b, blob.KindSD, data); err != nil {
			return nil, err
		}
	}
	if len(p.gone) > 0 {
		if err := s.cat.Delete(ctx, p.gone); err != nil {
			return nil, err
		}
	}
	if len(p.uses) > 0 {
		if err := s.cat.Touch(ctx, p.uses); err != nil {
			return nil, err
		}
	}
	s.follow.puts.Add(uint64(len(p.puts) + len(p.sds)))
	s.follow.gone.Add(uint64(len(p.gone)))
	s.follow.uses.Add(uint64(len(p.uses)))
	return told, nil
}

// without takes the entry of a blob out.
func without(entries []journal.Entry, h blob.Hash) []journal.Entry {
	rest := make([]journal.Entry, 0, len(entries))
	for _, e := range entries {
		if e.Hash != h {
			rest = append(rest, e)
		}
	}
	return rest
}

// plan looks at what is true in the store below, and at what the catalogue says. told are the entries that it covers: a
// blob that the store cannot tell about now waits.
func (s *Store) plan(ctx context.Context, batch []journal.Entry) (p plan, told []journal.Entry, err error) {
	there := map[blob.Hash]found{}
	var changed []journal.Entry
	for _, e := range batch {
		if e.News&journal.Changed == 0 {
			p.uses = append(p.uses, metadata.Access{Hash: e.Hash, At: e.At})
			told = append(told, e)
			continue
		}
		f, ok, err := s.look(ctx, e.Hash)
		if err != nil {
			s.log.Debug("a blob cannot be looked at now; the catalogue is told later", "blob", e.Hash.String(), "err", err)
			continue
		}
		if ok {
			f.At = e.At
			there[e.Hash] = f
		}
		changed = append(changed, e)
	}
	if len(changed) == 0 {
		return p, told, nil
	}
	hashes := make([]blob.Hash, len(changed))
	for i, e := range changed {
		hashes[i] = e.Hash
	}
	stored, err := s.cat.Stored(ctx, hashes)
	if err != nil {
		return plan{}, nil, err
	}
	for i, e := range changed {
		f, ok := there[e.Hash]
		if err := p.add(ctx, s, e, f, ok, stored[i]); err != nil {
			return plan{}, nil, err
		}
	}
	return p, append(told, changed...), nil
}

// add plans what to tell of one blob that changed.
func (p *plan) add(ctx context.Context, s *Store, e journal.Entry, f found, there, stored bool) error {
	switch {
	case !there && stored:
		p.gone = append(p.gone, e.Hash)
		return nil
	case !there:
		return nil
	case !stored && f.kind != blob.KindSD:
		p.puts = append(p.puts, f.Blob)
		return nil
	case !stored:
		p.sds = append(p.sds, f.Blob)
		return nil
	case f.kind == blob.KindSD: // it may be stored as any blob, if it was found before it was known to be one
		_, known, err := s.cat.Missing(ctx, e.Hash)
		if err != nil {
			return err
		}
		if !known {
			p.sds = append(p.sds, f.Blob)
			return nil
		}
	}
	if e.News&journal.Used != 0 {
		p.uses = append(p.uses, metadata.Access{Hash: e.Hash, At: e.At})
	}
	return nil
}

// look says what the store below has of a blob.
func (s *Store) look(ctx context.Context, h blob.Hash) (f found, there bool, err error) {
	if s.lister != nil {
		size, kind, there, err := s.lister.Look(ctx, h)
		return found{metadata.Blob{Hash: h, Length: int(size)}, kind}, there, err
	}
	data, err := s.read(ctx, h)
	if errors.Is(err, blob.ErrNotFound) {
		return found{}, false, nil
	}
	return found{metadata.Blob{Hash: h, Length: len(data)}, stream.Sniff(data)}, err == nil, err
}

// read reads a blob from the store below.
func (s *Store) read(ctx context.Context, h blob.Hash) ([]byte, error) {
	handle, err := s.child.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	defer handle.Release()
	data := make([]byte, handle.Size())
	if n, err := handle.ReadAt(data, 0); n < len(data) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%s: read %s: %w", s.name, h.Short(), err)
	}
	return data, nil
}
