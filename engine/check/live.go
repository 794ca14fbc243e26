package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// Owner is the process that serves a mount.
type Owner interface {
	// View begins to read the rows of the index, all as they are at one moment from now on.
	View(ctx context.Context) (View, error)
	// Hold says of each place whether the index still has that blob there. A yes means that it had it there all the
	// while, and that nothing of it on disk was changed on purpose.
	Hold(ctx context.Context, places []Place) ([]bool, error)
	// HoldSegment says whether a segment still is part of the mount, and not about to be removed.
	HoldSegment(ctx context.Context, id segments.ID) (bool, error)
}

// View is the rows at one moment.
type View struct {
	Rows  *index.Dump
	Whole bool         // what the rows say was proven or written by the owner: it has nothing left of an earlier run
	Close func() error // ends the view
}

// Place is where a blob is said to be.
type Place struct {
	Hash    blob.Hash
	Segment segments.ID
	Slot    uint32
}

// MaxPlaces is the most that an Owner is asked about at once.
const MaxPlaces = 1000

// live is a mount that is served, with its owner.
type live struct {
	owner Owner
	view  View
}

// readOnly opens no file for writing: they are those of another process.
type readOnly struct{ diskfs.FS }

// Open opens a file for reading.
func (r readOnly) Open(name string, _ bool) (diskfs.File, error) { return r.FS.Open(name, false) }

// Online is Mount while a process serves the mount, and takes no lock. It reads all rows of one moment, and then the
// segments, which go on changing. What was appended since is passed over. What does not fit a row is a finding if the
// owner still has the blob at that place: no place is used twice, and a record is taken out of the index before its slot
// is marked and its bytes are given back. So the owner is held up by nothing, and no finding is false.
//
// It finds less than Mount does after a run that ended in good order: no leaks, and no records that the index lacks.
func Online(ctx context.Context, fsys diskfs.FS, dir string, owner Owner, o Options) (Report, error) {
	r := newReport(dir)
	r.Taken = time.Now()
	c := &checker{fsys: readOnly{fsys}, o: o, rep: r}
	err := c.online(ctx, dir, owner, c.run)
	if errors.Is(err, mount.ErrDamaged) {
		r.add(Finding{Kind: Superblock, Slot: NoSlot, Detail: err.Error()})
		err = nil
	}
	if err != nil {
		return *r, fmt.Errorf("check %s: %w", dir, err)
	}
	r.sort()
	return *r, nil
}

// StatOnline is Stat while a process serves the mount. What is counted in segments is of later moments than the rows.
func StatOnline(ctx context.Context, fsys diskfs.FS, dir string, owner Owner) (Stats, error) {
	now := time.Now()
	t := Stats{Dir: dir, Taken: now, Sizes: sizeClasses(), Ages: ageClasses()}
	c := &checker{fsys: readOnly{fsys}, rep: newReport(dir)}
	err := c.online(ctx, dir, owner, func(ctx context.Context) error { return c.stat(ctx, &t, now) })
	if isDamage(err) || errors.Is(err, mount.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return t, fmt.Errorf("stat %s: %w", dir, err)
	}
	return t, nil
}

// online opens a view for f.
func (c *checker) online(ctx context.Context, dir string, owner Owner, f func(ctx context.Context) error) error {
	view, err := owner.View(ctx)
	if err != nil {
		return err
	}
	c.served = &live{owner: owner, view: view}
	if c.mnt, err = mount.Look(c.fsys, dir); err == nil {
		err = f(ctx)
	}
	return errors.Join(err, view.Close())
}

// whole is a finding about the segment as a whole.
func (s *segment) whole(k Kind, format string, args ...any) Finding {
	return Finding{Kind: k, Segment: s.id, Slot: NoSlot, Detail: fmt.Sprintf(format, args...)}
}

// suspect notes a finding about the whole segment, unless the mount is served and the segment was removed meanwhile.
func (s *segment) suspect(ctx context.Context, f Finding) error {
	if s.served != nil {
		switch held, err := s.served.owner.HoldSegment(ctx, s.id); {
		case err != nil:
			return err
		case !held:
			s.mu.Lock()
			s.rep.Gone += int64(len(s.rows))
			s.mu.Unlock()
			return nil
		}
	}
	s.add(f)
	return nil
}

// doubt keeps a finding about a record of a mount that is served until its owner was asked.
func (c *checker) doubt(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubts = append(c.doubts, f)
}

// settleDoubts asks the owner about what did not fit its row.
func (c *checker) settleDoubts(ctx context.Context) error {
	c.mu.Lock()
	doubts := c.doubts
	c.doubts = nil
	c.mu.Unlock()
	for some := range slices.Chunk(doubts, MaxPlaces) {
		places := make([]Place, len(some))
		for i, f := range some {
			places[i] = Place{Hash: f.Hash, Segment: f.Segment, Slot: uint32(f.Slot)}
		}
		held, err := c.served.owner.Hold(ctx, places)
		if err != nil {
			return err
		}
		c.mu.Lock()
		for i, f := range some {
			if held[i] {
				c.rep.add(f)
			} else {
				c.rep.Gone++
			}
		}
		c.mu.Unlock()
	}
	return nil
}

// unlessGone is err, or nil when the segment that it is about was removed meanwhile.
func (l *live) unlessGone(ctx context.Context, id segments.ID, err error) error {
	held, askErr := l.owner.HoldSegment(ctx, id)
	if askErr != nil || held {
		return errors.Join(err, askErr)
	}
	return nil
}
