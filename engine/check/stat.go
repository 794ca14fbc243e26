package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// ErrDamaged: what is damaged stands in the way. Mount says what it is.
var ErrDamaged = errors.New("the mount is damaged: `prism fsck check` says where, `prism fsck repair` mends it")

// SizeClass counts the blobs of a range of lengths. Sizes are in bytes.
type SizeClass struct {
	UpTo    int64 // the longest; the class before it ends where this one begins
	Content int64 // blobs
	SD      int64
	Bytes   int64 // of both
}

// AgeClass counts the blobs that were written within a range of time.
type AgeClass struct {
	UpTo  time.Duration // 0: the rest
	Blobs int64
	Bytes int64
}

// Blob is one blob of a mount.
type Blob struct {
	Hash    blob.Hash
	Kind    blob.Kind
	Length  int64
	Segment segments.ID
	Slot    uint32
	Written time.Time // to this mount; zero when its slot is not valid
}

// Stats is what a mount holds. Sizes are in bytes.
type Stats struct {
	Dir         string
	GoodStop    bool      // the last run says that it ended in good order
	Taken       time.Time `json:",omitzero"` // when its rows were read, while a process served it; zero: at rest
	SegmentSize int64

	Used      int64 // on disk, by all segment files
	LiveBytes int64 // payloads of live blobs, in whole blocks
	DeadBytes int64 // payloads of dead records whose blocks were not given back
	Blobs     int64
	Bytes     int64 // their lengths
	Dead      int64 // slots that are marked dead

	Files    int
	Segments map[index.State]int
	Sizes    []SizeClass
	Ages     []AgeClass

	Hottest []Blob // the last to be evicted, the very last first
	Oldest  []Blob // the next to be evicted, the very next first

	Scrub *mount.ScrubPosition // nil: no scrub has begun, or it is not known
}

// endsShown is how many blobs Hottest and Oldest have, at most.
const endsShown = 5

// Stat counts what the mount in dir holds, without a look at the payloads. As Mount, it takes the lock, and
// writes nothing else. Errors are those of Mount, and ErrDamaged.
func Stat(ctx context.Context, fsys diskfs.FS, dir string) (Stats, error) {
	now := time.Now()
	t := Stats{Dir: dir, Sizes: sizeClasses(), Ages: ageClasses()}
	err := read(ctx, fsys, dir, func(c *checker) error { return c.stat(ctx, &t, now) })
	if err != nil {
		return t, fmt.Errorf("stat %s: %w", dir, err)
	}
	return t, nil
}

// read opens a mount and its index for f.
func read(ctx context.Context, fsys diskfs.FS, dir string, f func(c *checker) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := mustBeMount(fsys, dir); err != nil {
		return err
	}
	m, err := mount.Open(fsys, dir, mount.Superblock{})
	if errors.Is(err, mount.ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	c := &checker{fsys: fsys, mnt: m, super: m.Superblock(), rep: newReport(dir)}
	if c.ix, err = c.newIndex(); err == nil {
		if err = c.mustBeKnown(); err == nil {
			err = f(c)
		}
		err = errors.Join(err, c.ix.Close())
	}
	if isDamage(err) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return errors.Join(err, m.Close())
}

// mustBeKnown refuses an index that was lost: the one that was made in its stead knows of no blob.
func (c *checker) mustBeKnown() error {
	_, known, err := c.ix.Meta()
	if err != nil || known {
		return err
	}
	files, err := c.segmentFiles()
	if len(files) > 0 {
		return fmt.Errorf("%w: its index is lost, and there are %d segments", ErrDamaged, len(files))
	}
	return err
}

// stat fills t in.
func (c *checker) stat(ctx context.Context, t *Stats, now time.Time) error {
	files, err := c.segmentFiles()
	if err != nil {
		return err
	}
	segs, err := c.readIndex(ctx, len(files))
	if err != nil {
		return err
	}
	r := c.rep
	t.GoodStop, t.SegmentSize = r.GoodStop, c.mnt.Superblock().SegmentSize
	t.Files, t.Segments = r.Files, r.Segments
	t.Blobs, t.Bytes, t.LiveBytes = r.Blobs, r.Bytes, r.LiveBytes
	if at, known := c.mnt.ReadScrub(); known {
		t.Scrub = &at
	}
	for _, list := range c.rows {
		for i := range list {
			t.countSize(&list[i])
		}
	}
	if err := c.statEnds(ctx, t); err != nil {
		return err
	}
	for id := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, known := segs[id]; !known && c.served != nil {
			continue // it was made since
		}
		err := c.statSegment(t, id, now)
		if err != nil && c.served != nil {
			err = c.served.unlessGone(ctx, id, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// statSegment counts what only a segment itself knows: the space that it occupies, dead records, and ages.
func (c *checker) statSegment(t *Stats, id segments.ID, now time.Time) error {
	s := segments.At(c.fsys, c.mnt.SegmentPath(id), c.mnt.Superblock().ID, id)
	defer s.Close()
	if _, err := s.Header(); errors.Is(err, segments.ErrBadHeader) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	used, err := s.Allocated()
	if err != nil {
		return err
	}
	t.Used += used
	_, err = s.Scan(0, func(rec segments.Record) error {
		if rec.Dead {
			t.Dead++
			kept, err := s.HasData(rec.Location)
			if kept {
				t.DeadBytes += segments.Blocks(rec.Length)
			}
			return err
		}
		for _, row := range c.rows.at(id, rec.Slot) {
			if row.hash == rec.Hash {
				t.countAge(&row, now.Sub(time.Unix(int64(rec.Time), 0)))
			}
		}
		return nil
	})
	return err
}

// statEnds walks the order, and keeps both of its ends.
func (c *checker) statEnds(ctx context.Context, t *Stats) error {
	var last [endsShown]index.OrderRow // a ring
	n := 0
	err := c.source().Order(func(o index.OrderRow) error {
		if n%ctxEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n < endsShown {
			t.Oldest = c.appendBlob(t.Oldest, o)
		}
		last[n%endsShown] = o
		n++
		return nil
	})
	if err != nil {
		return err
	}
	for i := n - 1; i >= max(0, n-endsShown); i-- {
		t.Hottest = c.appendBlob(t.Hottest, last[i%endsShown])
	}
	return nil
}

// appendBlob adds the blob that an order row is about, if there is one.
func (c *checker) appendBlob(list []Blob, o index.OrderRow) []Blob {
	for _, r := range c.rows.at(o.Segment, o.Slot) {
		if r.seq != o.Seq {
			continue
		}
		b := Blob{Hash: r.hash, Kind: r.kind, Length: int64(r.length), Segment: o.Segment, Slot: o.Slot}
		s := segments.At(c.fsys, c.mnt.SegmentPath(o.Segment), c.mnt.Superblock().ID, o.Segment)
		if rec, err := s.ReadSlot(o.Slot); err == nil && rec.Hash == r.hash {
			b.Written = time.Unix(int64(rec.Time), 0).UTC()
		}
		_ = s.Close() // it was only read
		return append(list, b)
	}
	return list
}

func sizeClasses() []SizeClass {
	return []SizeClass{{UpTo: 4 << 10}, {UpTo: 64 << 10}, {UpTo: 512 << 10}, {UpTo: blob.MaxSize - 1}, {UpTo: blob.MaxSize}}
}

func ageClasses() []AgeClass {
	const day = 24 * time.Hour
	return []AgeClass{{UpTo: time.Hour}, {UpTo: day}, {UpTo: 7 * day}, {UpTo: 30 * day}, {UpTo: 365 * day}, {}}
}

func (t *Stats) countSize(r *row) {
	for i := range t.Sizes {
		c := &t.Sizes[i]
		if int64(r.length) > c.UpTo {
			continue
		}
		if r.kind == blob.KindSD {
			c.SD++
		} else {
			c.Content++
		}
		c.Bytes += int64(r.length)
		return
	}
}

func (t *Stats) countAge(r *row, age time.Duration) {
	for i := range t.Ages {
		if c := &t.Ages[i]; c.UpTo == 0 || age <= c.UpTo {
			c.Blobs++
			c.Bytes += int64(r.length)
			return
		}
	}
}
