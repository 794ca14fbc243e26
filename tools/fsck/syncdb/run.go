package syncdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/compare"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// ErrStrangers: a repair would note most of the catalogue as not stored. Nothing was changed.
var ErrStrangers = errors.New("most of what the catalogue has as stored is not on the disk: nothing was changed")

// Options say what to compare. Path and Config must be set.
type Options struct {
	Path      string // the mount_point of a disk
	Config    string // the file of the configuration that has it, and its catalogue
	OlderThan time.Duration
	Repair    bool

	Limit    Limit                   // nil: as fast as it goes
	Progress func(done, total int64) // nil, or called now and then: blobs that were compared, of about how many
	Logger   *slog.Logger            // nil: nothing is logged
}

// Limit is waited for before n bytes are read, blob.MaxSize at most. A *rate.Limiter is one.
type Limit interface {
	WaitN(ctx context.Context, n int) error
}

const (
	// rowCost is what a blob that is compared counts for against the limit, in bytes: about what a row takes.
	rowCost = 128
	// step is how many blobs are compared between two looks at the limit.
	step = 1024
)

// run is one run.
type run struct {
	o     Options
	t     *target
	rep   *Report
	cat   metadata.Catalogue // nil until it is open
	notes *journal.Reader    // nil: there is no journal, or none that can be read
	now   time.Time

	sniffed     int   // bytes, of the first of files, that the limit was not asked for yet
	passes      int64 // over all blobs, that there will be
	done, about int64 // for Progress
	blocked     []blob.Hash
}

// Run compares, and repairs when the options say so. What differs is in the report; the error says why it could not be
// compared, or not be repaired to the end: ErrConfig, ErrNoCatalogue, ErrStrangers; those of check.Read and disk.Open, a
// *diskfs.LockedError with the owner among them; those of package metadata; ctx's.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	rep := Report{OlderThan: o.OlderThan, Repair: o.Repair, Found: map[Kind]int64{}, Repaired: map[Kind]int64{}}
	t, err := find(o.Path, o.Config)
	if err != nil {
		return rep, fmt.Errorf("sync-db: %w", err)
	}
	rep.Dir = o.Path
	rep.Catalogue = fmt.Sprintf("line %d of %s: %s", t.Part.At.Position().Line, o.Config, t.Part.Describe())
	r := &run{o: o, t: t, rep: &rep, now: time.Now()}
	err = t.read(ctx, func(layout string, d contents) error {
		rep.Layout = layout
		return r.compare(ctx, d)
	})
	if err == nil && len(r.blocked) > 0 {
		err = r.deleteBlocked(ctx)
	}
	if r.cat != nil {
		err = errors.Join(err, r.cat.Close())
	}
	if err != nil {
		return rep, fmt.Errorf("sync-db: %s: %w", o.Path, err)
	}
	return rep, nil
}

// compare looks at all, and then settles it.
func (r *run) compare(ctx context.Context, d contents) (err error) {
	if err := r.openCatalogue(ctx); err != nil {
		return err
	}
	if err := r.openJournal(); err != nil {
		return err
	}
	if r.notes != nil {
		defer func() { err = errors.Join(err, r.notes.Close()) }()
	}
	r.passes = 1
	if r.o.Repair {
		r.passes = 2
	}
	var alone int64
	err = r.walk(ctx, d, func(p compare.Pair, j judgement) error {
		if !j.ofStream {
			r.count(p)
			if !p.InStore && p.Stored() {
				alone++
			}
		}
		r.note(p, j)
		return nil
	})
	if err != nil || !r.o.Repair || len(r.rep.Found) == 0 {
		return err
	}
	if compare.Strangers(alone, r.rep.Both) && !r.t.DeleteOnMiss {
		r.rep.LeftOver = total(r.rep.Found)
		return fmt.Errorf("%w: %d blobs are in the catalogue alone, %d in both. If the disk is new or was lost, and the catalogue is "+
			"its own, set delete_on_miss: true in %s; else correct host, path or mount_point there", ErrStrangers, alone, r.rep.Both, r.o.Config)
	}
	return r.settle(ctx, d)
}

// note adds a judgement to the report.
func (r *run) note(p compare.Pair, j judgement) {
	switch {
	case j.flying:
		r.rep.InFlight++
	case j.kept:
		r.rep.Kept++
	case j.unnoted:
		r.rep.Unnoted++
	case j.sdGone:
		r.rep.SDsGone++
	}
	if j.kind != "" && !j.flying {
		r.rep.add(j.kind, p.Hash, j.detail)
	}
}

// openCatalogue opens the catalogue, and asks it one question, so that nothing begins before it is known that it answers.
func (r *run) openCatalogue(ctx context.Context) error {
	cat, err := r.t.OpenExisting(r.o.Logger)
	if err != nil {
		return err
	}
	r.cat = cat
	r.about, err = cat.Count(ctx)
	return err
}

// openJournal opens the journal, if there is one. What is wrong with it is said, and no more: the store makes a new one and
// compares by itself.
func (r *run) openJournal() error {
	if r.t.Journal == "" {
		return nil
	}
	notes, err := journal.OpenReader(diskfs.OS(), r.t.Journal, r.o.Logger)
	switch {
	case err == nil:
		r.notes = notes
	case errors.Is(err, index.ErrCorrupt):
		r.rep.Journal = err.Error()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// count counts a blob for the report.
func (r *run) count(p compare.Pair) {
	if p.InStore {
		r.rep.Blobs++
		r.rep.Bytes += p.Size
	}
	if p.Known {
		r.rep.Rows++
	}
	if p.Stored() {
		r.rep.Stored++
		if p.InStore {
			r.rep.Both++
		}
	}
}

// judgement is what is to be said of one blob, or of its stream.
type judgement struct {
	kind   Kind // empty: the two agree
	detail string
	flying bool // it is left to the store
	kept   bool // it is blocked, and stays

	ofStream bool
	desc     stream.SD // of the SD blob of a stream that is to be noted
	unnoted  bool      // the catalogue notes no stream of that SD blob
	sdGone   bool      // the catalogue keeps the stream of an SD blob that is gone
}

// walk gives each blob, in the order of hashes, with what is to be said of it; and what is to be said of streams, those
// without an SD blob some blobs later.
func (r *run) walk(ctx context.Context, d contents, each func(compare.Pair, judgement) error) error {
	marks := compare.Blocked(ctx, r.cat)
	n := int64(0)
	var gone absent
	ofStream := func(p compare.Pair, j judgement) error {
		j.ofStream = true
		return each(p, j)
	}
	err := compare.Walk(ctx, d.list, r.cat, func(p compare.Pair) error {
		if n++; n%step == 0 {
			if err := r.pace(ctx, step*rowCost+r.sniffed); err != nil {
				return err
			}
			r.sniffed = 0
			r.progress(n)
		}
		blocked := false
		if p.InStore {
			var err error
			if blocked, err = marks.Has(p.Hash); err != nil {
				return err
			}
		}
		j := r.judge(p, blocked)
		if j.kind != "" {
			var err error
			if j.flying, err = r.flying(d, p); err != nil {
				return err
			}
		}
		if err := each(p, j); err != nil {
			return err
		}
		switch {
		case p.InStore && p.Stored() && j.kind != Blocked:
			s, err := r.judgeStream(ctx, d, p)
			if err == nil && s.kind != "" {
				s.flying, err = r.flying(d, p)
			}
			if err != nil {
				return err
			}
			return ofStream(p, s)
		case !p.InStore && !p.Stored() && (r.done == 0 || !r.t.SoftDeletes): // under these it is only counted, in the first pass
			gone = append(gone, p)
		}
		if len(gone) < metadata.BatchSize {
			return nil
		}
		err := r.judgeAbsent(ctx, d, gone, ofStream)
		gone = gone[:0]
		return err
	})
	if err == nil {
		err = r.judgeAbsent(ctx, d, gone, ofStream)
	}
	r.done += n
	return err
}

func (r *run) pace(ctx context.Context, n int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if r.o.Limit == nil {
		return nil
	}
	return r.o.Limit.WaitN(ctx, n)
}

func (r *run) progress(n int64) {
	if r.o.Progress != nil {
		all := max(r.about*r.passes, r.done+n)
		if r.done > 0 { // a first pass has counted
			all = max(2*r.done, r.done+n)
		}
		r.o.Progress(r.done+n, all)
	}
}

// judge says on what the two differ. A row without a length differs in none: the store makes such rows.
func (r *run) judge(p compare.Pair, blocked bool) judgement {
	j := judgement{kept: blocked && !r.t.deletes}
	switch length := int64(p.Row.Length); {
	case blocked && r.t.deletes:
		j.kind, j.detail = Blocked, fmt.Sprintf("the catalogue has it as blocked, and %d bytes are on the disk", p.Size)
	case p.InStore && !p.Known:
		j.kind, j.detail = BlobWithoutRow, fmt.Sprintf("%d bytes on the disk, and no row", p.Size)
	case p.InStore && !p.Row.Stored:
		j.kind, j.detail = BlobNotStored, fmt.Sprintf("%d bytes on the disk, and its row says that it is not stored", p.Size)
	case p.InStore && length != 0 && length != p.Size:
		j.kind, j.detail = WrongLength, fmt.Sprintf("%d bytes on the disk, and its row says %d", p.Size, length)
	case !p.InStore && p.Stored():
		j.kind, j.detail = RowWithoutBlob, "its row says that it is stored, and it is not on the disk"
	}
	return j
}

// flying says whether a difference is the store's to settle, or too young to be one.
func (r *run) flying(d contents, p compare.Pair) (bool, error) {
	if settled, err := d.settled(p.Hash); err != nil || !settled {
		return !settled, err
	}
	if r.notes != nil {
		if told, err := r.notes.Changed(p.Hash); err != nil || told {
			return told, err
		}
	}
	at := p.Row.Accessed
	if p.InStore {
		var err error
		if at, err = d.written(p.Hash); err != nil {
			return false, err
		}
	}
	// A clock that was wrong must not keep a blob in flight for ever.
	return !at.IsZero() && r.now.Sub(at).Abs() < r.o.OlderThan, nil
}
