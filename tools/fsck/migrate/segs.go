package migrate

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// segSource is a segment store, which is read without its engine: that one would make segments of its own.
type segSource struct {
	m     *Migration
	mnt   *mount.Mount // owned for as long as the source is changed; nil: it is not
	super mount.Superblock
	owner string
	files *segments.Files

	ix    *index.Index
	clean bool // the last run of the engine ended in good order
	rows  map[segments.ID]index.SegmentRow

	mu   sync.Mutex
	segs map[segments.ID]*segments.Segment
	left map[segments.ID]int64 // records that are live, those that are bad included
	torn bool                  // blobs have left that the index still knows, and it was asked to be made anew
}

// openFilesMax bounds how many segments are open at once.
const openFilesMax = 128

func (m *Migration) openSegments() (source, error) {
	s := &segSource{
		m: m, files: segments.NewFiles(openFilesMax),
		segs: map[segments.ID]*segments.Segment{}, left: map[segments.ID]int64{}, rows: map[segments.ID]index.SegmentRow{},
	}
	var err error
	if s.super, err = mount.ReadSuperblock(m.o.FS, m.from); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	s.mnt, err = mount.Open(m.o.FS, m.from, mount.Superblock{})
	var held *diskfs.LockedError
	switch {
	case err == nil:
		return s, nil
	case m.o.Move || !errors.As(err, &held):
		return nil, fmt.Errorf("migrate: %w", err)
	}
	s.owner = held.Owner
	return s, nil
}

func (s *segSource) about() (holds, servedBy string) {
	return mount.Layout{Kind: mount.LayoutSegments}.String(), s.owner
}

func (s *segSource) dir() string { return filepath.Join(s.m.from, "segments") }

func (s *segSource) path(id segments.ID) string {
	return filepath.Join(s.dir(), mount.SegmentName(id))
}

// segment is the segment of that id, to be read from.
func (s *segSource) segment(id segments.ID) *segments.Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.segs[id]
	if g == nil {
		g = segments.At(s.m.o.FS, s.path(id), s.super.ID, id)
		g.Share(s.files)
		s.segs[id] = g
	}
	return g
}

func (s *segSource) scan(ctx context.Context, add func(item) error) error {
	names, err := s.m.o.FS.List(s.dir())
	if err != nil {
		return fmt.Errorf("migrate: list segments: %w", err)
	}
	if s.mnt != nil {
		if err := s.loadIndex(); err != nil {
			return err
		}
	}
	for _, name := range names {
		id, ok := mount.ParseSegmentName(name)
		if !ok {
			continue
		}
		if err := s.scanOne(ctx, id, add); err != nil {
			return err
		}
	}
	err = s.closeIndex()
	if !s.m.o.Move && s.mnt != nil { // from here on it may be served
		err = errors.Join(err, s.mnt.Close())
		s.mnt = nil
	}
	return err
}

// loadIndex opens the index, where it can be believed.
func (s *segSource) loadIndex() error {
	why, asked, err := s.mnt.RebuildRequested()
	if err != nil || asked && why != leaving {
		s.m.o.Logger.Warn("the source's index is known to be damaged: its order is that of the records", "why", cmp.Or(why, fmt.Sprint(err)))
		return nil
	}
	x, err := s.m.openIndex(s.mnt.IndexDir())
	if x == nil {
		return err
	}
	meta, known, err := x.Meta()
	rows, rerr := x.Segments()
	if err = errors.Join(err, rerr); err != nil || !known {
		s.m.o.Logger.Warn("the source's index knows nothing: its order is that of the records", "err", err)
		_ = x.Close() // nothing was written to it
		return nil
	}
	s.ix, s.clean, s.torn = x, meta.Clean, asked
	for _, row := range rows {
		s.rows[row.ID] = row
	}
	return nil
}

func (s *segSource) closeIndex() error {
	if s.ix == nil {
		return nil
	}
	x := s.ix
	s.ix = nil
	return x.Close()
}

// scanOne adds the records of a segment. One that cannot be read as a segment is listed, and left.
func (s *segSource) scanOne(ctx context.Context, id segments.ID, add func(item) error) error {
	g := s.segment(id)
	var tombs map[uint32]struct{}
	if s.ix != nil {
		var err error
		if tombs, err = s.ix.Tombstones(id); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	var live int64
	var stopped error
	_, err := g.Scan(0, func(rec segments.Record) error {
		if ctx.Err() != nil {
			stopped = context.Cause(ctx)
			return stopped
		}
		order, ok, err := s.counts(g, rec, tombs)
		if err == nil && ok {
			live++
			err = add(item{order: order, ref: refOf(uint64(id), rec.Slot), size: rec.Length})
		}
		stopped = err
		return err
	})
	switch {
	case stopped != nil:
		return stopped
	case ofTheProcess(err):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, segments.ErrNewerVersion):
		return fmt.Errorf("migrate: %s: %w; nothing was moved: run the version of prism that wrote it", s.path(id), err)
	case err != nil:
		s.left[id] = 1 // whatever it holds
		s.m.addBad(Bad{Path: s.path(id), Segment: id, Why: fmt.Sprintf("the segment cannot be read: %v", err)})
		return nil
	}
	s.left[id] = live
	if row := s.rows[id]; row.LiveBlobs > live && !s.torn {
		s.left[id] = row.LiveBlobs
		s.m.addBad(Bad{Path: s.path(id), Segment: id, Why: fmt.Sprintf("%d records that the index knows cannot be found: run fsck check", row.LiveBlobs-live)})
	}
	return nil
}

// counts says whether a record is live, as an engine that opens the mount would, and where in the order it stands.
func (s *segSource) counts(g *segments.Segment, rec segments.Record, tombs map[uint32]struct{}) (order uint64, ok bool, err error) {
	if rec.Dead {
		return 0, false, nil
	}
	if s.ix == nil {
		ok, err := g.HasData(rec.Location)
		return rec.Seq, ok && err == nil, nil
	}
	ent, err := s.ix.Get(rec.Hash)
	if err == nil {
		return ent.Seq, ent.Location == rec.Location, nil
	}
	if !errors.Is(err, blob.ErrNotFound) {
		return 0, false, fmt.Errorf("migrate: %w", err)
	}
	row, known := s.rows[rec.Segment]
	if _, buried := tombs[rec.Slot]; buried || s.clean || known && (rec.Slot < row.Watermark || row.State != index.StateActive && row.State != index.StateSealed) {
		return 0, false, nil
	}
	ok, err = g.HasData(rec.Location) // the last run did not get to indexing it
	return rec.Seq, ok && err == nil, nil
}

func parts(r ref) (segments.ID, uint32) {
	return segments.ID(binary.BigEndian.Uint64(r[:])), binary.BigEndian.Uint32(r[8:])
}

func (s *segSource) look(r ref) (blob.Hash, blob.Kind, error) {
	rec, err := s.record(r)
	return rec.Hash, rec.Kind, err
}

func (s *segSource) record(r ref) (segments.Record, error) {
	id, slot := parts(r)
	rec, err := s.segment(id).ReadSlot(slot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rec, errGone
	case err == nil && rec.Dead:
		return rec, errGone
	}
	return rec, err
}

func (s *segSource) read(r ref, buf []byte) ([]byte, error) {
	rec, err := s.record(r)
	if err != nil {
		return nil, err
	}
	g := s.segment(rec.Segment)
	err = g.ReadPayload(rec.Location, buf[:rec.Length])
	if err == nil {
		return buf[:rec.Length], nil
	}
	if s.owner != "" || !s.m.o.Move { // it may have been evicted meanwhile
		if _, again := s.record(r); again != nil {
			return nil, again
		}
		if ok, herr := g.HasData(rec.Location); herr == nil && !ok {
			return nil, errGone
		}
	}
	return nil, err
}

func (s *segSource) place(r ref) Bad {
	id, slot := parts(r)
	return Bad{Path: s.path(id), Segment: id, Slot: slot}
}

// leaving is why the source's index is to be made anew: what it says of blobs that have left is not true any more.
const leaving = "fsck migrate --move takes blobs away"

// free marks records dead and punches them. A segment that has nothing left is removed at once. A power cut may undo some
// of it: the next run finds such blobs in both places.
func (s *segSource) free(rs []ref) (int, error) {
	if !s.torn {
		if err := s.mnt.RequestRebuild(leaving); err != nil {
			return 0, fmt.Errorf("migrate: %w", err)
		}
		s.torn = true
	}
	bySegment := map[segments.ID][]uint32{}
	for _, r := range rs {
		id, slot := parts(r)
		bySegment[id] = append(bySegment[id], slot)
	}
	freed := 0
	for id, slots := range bySegment {
		s.left[id] -= int64(len(slots))
		var err error
		if s.left[id] == 0 {
			err = s.unlink(id)
		} else {
			err = s.punch(id, slots)
		}
		if err != nil {
			return freed, fmt.Errorf("migrate: free %s: %w", s.path(id), err)
		}
		freed += len(slots)
	}
	return freed, nil
}

// punch works on a segment of its own, which does not stay open: those that are shared stay open once they were changed.
func (s *segSource) punch(id segments.ID, slots []uint32) (err error) {
	g := segments.At(s.m.o.FS, s.path(id), s.super.ID, id)
	defer func() { err = errors.Join(err, g.Close()) }()
	var locs []segments.Location
	for _, slot := range slots {
		rec, err := g.ReadSlot(slot)
		if err == nil {
			err = g.MarkDead(slot)
		}
		if err != nil {
			return err
		}
		locs = append(locs, rec.Location)
	}
	slices.SortFunc(locs, func(a, b segments.Location) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 0; i < len(locs); {
		from := locs[i].Offset
		to := from
		for ; i < len(locs) && locs[i].Offset == to; i++ { // neighbours in one
			to += segments.Blocks(locs[i].Length)
		}
		if err := g.Punch(from, to-from); err != nil {
			return err
		}
	}
	return nil
}

func (s *segSource) unlink(id segments.ID) error {
	s.mu.Lock()
	g := s.segs[id]
	delete(s.segs, id)
	s.mu.Unlock()
	if g == nil {
		g = segments.At(s.m.o.FS, s.path(id), s.super.ID, id)
	}
	err := s.m.o.FS.Remove(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, g.Close())
}

// finish removes the segments that hold nothing, as some did before the run.
func (s *segSource) finish() error {
	for id, n := range s.left {
		if n > 0 {
			continue
		}
		if err := s.unlink(id); err != nil {
			return fmt.Errorf("migrate: free %s: %w", s.path(id), err)
		}
	}
	return s.m.o.FS.SyncDir(s.dir())
}

func (s *segSource) close() error {
	err := s.closeIndex()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		err = errors.Join(err, g.Close())
	}
	if s.mnt != nil {
		err = errors.Join(err, s.mnt.Close())
	}
	return err
}
