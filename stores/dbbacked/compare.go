package dbbacked

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata/compare"
)

const (
	comparePage = 4096
	// doubtEvery is how often it is looked whether the journal still has all news.
	doubtEvery = 5 * time.Second
)

// errStrangers: the catalogue and the store below have little in common.
var errStrangers = errors.New("the catalogue has mostly blobs that the store does not have")

// compareLoop compares the store below with the catalogue, when the journal lacks news and once in a while.
func (s *Store) compareLoop() {
	retry := backoff{}
	next := time.Now().Add(s.o.CompareEvery)
	for {
		if s.journal.Whole() && time.Now().Before(next) {
			if !s.sleep(min(doubtEvery, s.o.CompareEvery)) {
				return
			}
			continue
		}
		err := s.compare(s.stopping)
		switch {
		case s.stopping.Err() != nil:
			return
		case errors.Is(err, errStrangers):
			s.log.Error("this catalogue does not look like that of this store; nothing in it is changed beside what happens from "+
				"now on. If the store is new or was lost, and the catalogue is its own, set delete_on_miss: true, or empty the "+
				"catalogue; else correct host, path or mount_point", "err", err)
			return
		case s.journal.Stats().Failed: // which the log says; the next start compares
			return
		case err != nil:
			if concernsAll(err) {
				s.report(err)
			} else if retry.last == 0 {
				s.log.Warn("the store could not be compared with its catalogue; it is tried again", "err", err)
			}
			if !s.sleep(retry.next()) {
				return
			}
		default:
			retry.reset()
			next = time.Now().Add(s.o.CompareEvery)
		}
	}
}

// compare notes every blob on which the two disagree, for the settling to look at.
func (s *Store) compare(ctx context.Context) error {
	losses := s.journal.Losses()
	if !s.journal.Met() && !s.o.DeleteOnMiss {
		if err := s.meet(ctx); err != nil {
			return err
		}
	}
	c := &comparison{s: s, differs: s.journal.NoteAll}
	s.follow.comparing.Store(true)
	defer s.follow.comparing.Store(false)
	s.follow.compared.Store(0)
	began := time.Now()
	if err := c.run(ctx); err != nil {
		return err
	}
	s.journal.SetWhole(losses)
	s.follow.lastCompared.Store(time.Now().UnixNano())
	s.follow.differences.Store(c.missing + c.surplus)
	s.log.Info("the store was compared with its catalogue", "blobs", c.both+c.missing, "not_in_the_catalogue", c.missing,
		"in_the_catalogue_alone", c.surplus, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// meet judges whether the two belong together. Nothing is noted.
func (s *Store) meet(ctx context.Context) error {
	c := &comparison{s: s, differs: func([]blob.Hash) error { return nil }}
	if err := c.run(ctx); err != nil {
		return err
	}
	if compare.Strangers(c.surplus, c.both) {
		return fmt.Errorf("%w: %d of %d", errStrangers, c.surplus, c.surplus+c.both)
	}
	return nil
}

// comparison walks store and catalogue side by side.
type comparison struct {
	s       *Store
	differs func([]blob.Hash) error

	both, missing, surplus int64 // in both; in the store alone; in the catalogue alone
}

func (c *comparison) run(ctx context.Context) error {
	var differ []blob.Hash
	err := compare.Walk(ctx, c.s.lister.List, c.s.cat, func(p compare.Pair) error {
		switch stored := p.Stored(); {
		case p.InStore && stored:
			c.both++
		case p.InStore:
			c.missing++
			differ = append(differ, p.Hash)
		case stored:
			c.surplus++
			differ = append(differ, p.Hash)
		default:
			return ctx.Err()
		}
		c.s.follow.compared.Add(1)
		if len(differ) < comparePage {
			return nil
		}
		err := c.differs(differ)
		differ = differ[:0]
		return err
	})
	if err != nil || len(differ) == 0 {
		return err
	}
	return c.differs(differ)
}
