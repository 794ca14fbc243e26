package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// Step is one operation of a sequence, on two blobs: A takes one block, and B is as large as a segment.
type Step uint8

// The steps.
const (
	PutA Step = iota
	PutB
	DeleteA
	DeleteB
	GetA
	Flush
	Roll   // blobs that nobody asks for again fill a segment and begin the next
	Evict  // the same on a file system that has no room left: what is old goes
	Reopen // close and open
	steps
)

// String is the step's name.
func (s Step) String() string {
	return [...]string{"put-A", "put-B", "delete-A", "delete-B", "get-A", "flush", "roll", "evict", "reopen"}[s]
}

// Start is what a sequence begins with.
type Start uint8

// The starts.
const (
	Empty   Start = iota // a new folder
	Filled               // a mount that was closed, with A, a full blob, and a blob that was deleted
	Crashed              // the same after more calls and a power cut: opening it recovers
	starts
)

// String is the start's name.
func (s Start) String() string { return [...]string{"empty", "filled", "crashed"}[s] }

// Sequence is some steps on a mount. One without steps is the opening of the mount.
type Sequence struct {
	Start Start
	Sync  engine.Sync
	Steps []Step
}

// String is the sequence as a path, so that those with a common beginning have a common prefix.
func (s Sequence) String() string {
	parts := []string{s.Start.String(), s.Sync.String()}
	for _, step := range s.Steps {
		parts = append(parts, step.String())
	}
	return strings.Join(parts, "/")
}

// Sequences is every sequence of up to `length` steps, on every start and with every policy, short ones first.
func Sequences(length int) []Sequence {
	var out []Sequence
	for start := range starts {
		for _, sync := range []engine.Sync{engine.SyncAlways, engine.SyncInterval, engine.SyncNever} {
			out = append(out, Sequence{Start: start, Sync: sync})
		}
	}
	for from := 0; length > 0; length-- {
		upto := len(out)
		for ; from < upto; from++ {
			for step := range steps {
				longer := out[from]
				longer.Steps = append(longer.Steps[:len(longer.Steps):len(longer.Steps)], step)
				out = append(out, longer)
			}
		}
	}
	return out
}

// sequenceRun is the run whose blobs sequences use.
const sequenceRun = 3

// What the blobs of a sequence are for, by index. Fillers come in pairs, one a step at most.
const (
	blobA = iota
	blobB
	blobOld     // full, and there from the start
	blobGone    // deleted from the start
	blobNew     // put just before the power cut of the start
	blobSmall   // asks whether there is room
	fillers     // the first of
	fillerPairs = 4
)

// Kit is what sequences share: their blobs and their starts. It is safe for concurrent use.
type Kit struct {
	blobs  []blob.Verified
	starts map[string]startDisk // by start and policy
}

// startDisk is a start as it is on a disk, with what was promised of it.
type startDisk struct {
	disk   *crashfs.FS
	states map[int]State
}

// NewKit makes the blobs and the starts.
func NewKit(ctx context.Context) (*Kit, error) {
	k := &Kit{starts: map[string]startDisk{}}
	sizes := []int{blobA: 4000, blobB: blob.MaxSize, blobOld: blob.MaxSize, blobGone: 9000, blobNew: 5000, blobSmall: 2}
	for range fillerPairs {
		sizes = append(sizes, 1, blob.MaxSize)
	}
	for i, n := range sizes {
		k.blobs = append(k.blobs, BlobOf(sequenceRun, i, n))
	}
	for _, s := range Sequences(0) {
		made, err := k.start(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("start %v: %w", s, err)
		}
		k.starts[s.String()] = made
	}
	return k, nil
}

// start makes the disk that a sequence begins with.
func (k *Kit) start(ctx context.Context, s Sequence) (startDisk, error) {
	disk, err := emptyDisk()
	if err != nil || s.Start == Empty {
		return startDisk{disk: disk}, err
	}
	p := k.player(s, disk, nil, nil)
	err = p.do(ctx, p.open, p.put(blobA), p.put(blobOld), p.put(blobGone), p.delete(blobGone), p.shut)
	if err == nil && s.Start == Crashed {
		err = p.do(ctx, p.open, p.put(blobB), p.flush, p.delete(blobA), p.put(blobNew))
		disk, _ = disk.Cut(sequenceRun)
		states := p.model.snapshot()
		return startDisk{disk, states}, errors.Join(err, p.do(ctx, p.shut))
	}
	return startDisk{disk, p.model.snapshot()}, err
}

// player plays a sequence.
type player struct {
	caller
	e     *engine.Engine // nil while closed
	disk  *crashfs.FS
	o     engine.Options
	rolls int
}

// player makes one on a disk that it reaches through fs, which is the disk itself where nil.
func (k *Kit) player(s Sequence, disk *crashfs.FS, fs diskfs.FS, states map[int]State) *player {
	if fs == nil {
		fs = disk
	}
	p := &player{caller: caller{sync: s.Sync, blobs: k.blobs, model: newModel()}, disk: disk, o: sequenceOptions(fs, s.Sync)}
	for i, st := range states {
		p.model.set(i, st)
	}
	return p
}

// sequenceOptions are those of a sequence: one active segment that a full blob fills, and no timer.
func sequenceOptions(fs diskfs.FS, sync engine.Sync) engine.Options {
	return engine.Options{
		FS: fs, Dir: Dir, Sync: sync, SyncInterval: time.Hour, MinFree: 1,
		SegmentSize: blob.MaxSize, ActiveSegments: 1, IndexCache: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// do does one thing after the other, each once the engine has nothing more to do for the one before.
func (p *player) do(ctx context.Context, things ...func(context.Context) error) error {
	for _, f := range things {
		if err := f(ctx); err != nil {
			return err
		}
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is what a step does.
func (p *player) step(s Step) func(context.Context) error {
	switch s {
	case PutA:
		return p.put(blobA)
	case PutB:
		return p.put(blobB)
	case DeleteA:
		return p.delete(blobA)
	case DeleteB:
		return p.delete(blobB)
	case GetA:
		return func(ctx context.Context) error { return p.caller.get(ctx, p.e, blobA) }
	case Flush:
		return p.flush
	case Roll:
		return p.roll
	case Evict:
		return p.evict
	default:
		return func(ctx context.Context) error { return p.do(ctx, p.shut, p.open) }
	}
}

func (p *player) put(i int) func(context.Context) error {
	return func(ctx context.Context) error { return p.caller.put(ctx, p.e, i) }
}

func (p *player) delete(i int) func(context.Context) error {
	return func(ctx context.Context) error { return p.caller.delete(ctx, p.e, i) }
}

func (p *player) flush(ctx context.Context) error { return p.caller.flush(ctx, p.e) }

func (p *player) open(ctx context.Context) (err error) {
	p.e, err = engine.Open(ctx, p.o)
	return err
}

func (p *player) shut(context.Context) error {
	e := p.e
	p.e = nil
	return p.caller.close(e)
}

// roll puts one blob that leaves less than a segment, and one that needs a whole one.
func (p *player) roll(ctx context.Context) error {
	i := fillers + 2*p.rolls
	p.rolls++
	if err := p.caller.put(ctx, p.e, i); err != nil {
		return err
	}
	return p.caller.put(ctx, p.e, i+1)
}

// evict rolls while the file system has no room for the next segment, not even once the tail of the last one was given
// back, and waits until something was evicted, if anything is there.
func (p *player) evict(ctx context.Context) error {
	p.evicting = true
	p.model.loosen(true)
	u, err := p.disk.Usage(Dir)
	if err != nil {
		return err
	}
	s := p.e.Stats()
	p.disk.SetCapacity(u.Used + s.Reserve - p.o.SegmentSize/2)
	err = p.roll(ctx)
	if err == nil || errors.Is(err, blob.ErrFull) {
		err = await(ctx, "nothing is evicted", func() bool {
			now := p.e.Stats()
			return now.Evicted > s.Evicted || now.Blobs == 0
		})
	}
	p.disk.SetCapacity(0)
	if err != nil {
		return err
	}
	// A put has the engine look at the file system again.
	aerr := await(ctx, "there is room again, and puts are turned away", func() bool {
		err = p.caller.put(ctx, p.e, blobSmall)
		return !errors.Is(err, blob.ErrFull)
	})
	p.evicting = false
	p.model.loosen(false)
	return errors.Join(err, aerr)
}

// settle waits until the engine has done what a call left to it.
func (p *player) settle(ctx context.Context) error {
	if p.e == nil {
		return nil
	}
	return await(ctx, "the engine does not come to rest", func() bool {
		s := p.e.Stats()
		return !s.Recovering && s.Pending == 0 && s.Segments["sealing"]+s.Segments["doomed"] == 0 && s.Segments["active"] == 1
	})
}

// await looks at a condition until it holds.
func await(ctx context.Context, otherwise string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			return errors.New(otherwise)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}
