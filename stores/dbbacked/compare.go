package dbbacked

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

const (
	comparePage = 4096
	// doubtEvery is how often it is looked whether the journal still has all news.
	doubtEvery = 5 * time.Second
	// strangers is how many blobs the catalogue may have at least that the store below lacks.
	strangers = 1000
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
		case err != nil:
			s.report(err)
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
	if c.surplus > strangers && c.surplus > c.both {
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
	have := &pages{fetch: func(from blob.Hash, add func(blob.Hash) error) error {
		return c.s.lister.List(ctx, from, func(h blob.Hash, _ int64, _ blob.Kind) error { return add(h) })
	}}
	says := &pages{fetch: func(from blob.Hash, add func(blob.Hash) error) error {
		return c.s.cat.Walk(ctx, from, func(r metadata.Row) error {
			if !r.Stored {
				return ctx.Err()
			}
			return add(r.Hash)
		})
	}}
	var differ []blob.Hash
	for {
		a, more, err := have.peek()
		if err != nil {
			return err
		}
		b, moreRows, err := says.peek()
		if err != nil {
			return err
		}
		if !more && !moreRows {
			return c.flush(differ)
		}
		order := bytes.Compare(a[:], b[:])
		switch {
		case more && (!moreRows || order < 0):
			c.missing++
			differ = append(differ, a)
			have.advance()
		case moreRows && (!more || order > 0):
			c.surplus++
			differ = append(differ, b)
			says.advance()
		default:
			c.both++
			have.advance()
			says.advance()
		}
		c.s.follow.compared.Add(1)
		if len(differ) == comparePage {
			if err := c.flush(differ); err != nil {
				return err
			}
			differ = differ[:0]
		}
	}
}

func (c *comparison) flush(differ []blob.Hash) error {
	if len(differ) == 0 {
		return nil
	}
	return c.differs(differ)
}

// pages reads hashes in their order, a page at a time, so that neither side is kept open while the other is asked.
type pages struct {
	fetch func(from blob.Hash, add func(blob.Hash) error) error
	page  []blob.Hash
	at    int
	from  blob.Hash
	ended bool
}

// errPage ends a fetch whose page is full.
var errPage = errors.New("the page is full")

// peek is the next hash; false at the end.
func (p *pages) peek() (h blob.Hash, more bool, err error) {
	if p.at == len(p.page) && !p.ended {
		p.page, p.at = p.page[:0], 0
		err := p.fetch(p.from, func(h blob.Hash) error {
			p.page = append(p.page, h)
			if len(p.page) == comparePage {
				return errPage
			}
			return nil
		})
		if err != nil && !errors.Is(err, errPage) {
			return blob.Hash{}, false, err
		}
		p.ended = err == nil
		if n := len(p.page); n > 0 {
			var last bool
			p.from, last = after(p.page[n-1])
			p.ended = p.ended || last
		}
	}
	if p.at == len(p.page) {
		return blob.Hash{}, false, nil
	}
	return p.page[p.at], true, nil
}

func (p *pages) advance() { p.at++ }

// after is the hash that follows; last says that there is none.
func after(h blob.Hash) (next blob.Hash, last bool) {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i]++; h[i] != 0 {
			return h, false
		}
	}
	return h, true
}
