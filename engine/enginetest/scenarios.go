package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// Scenario is a few calls of an engine, on a disk that was prepared. Its calls go on whatever they return.
type Scenario struct {
	Name     string
	Sync     engine.Sync
	Evicting bool
	Blobs    int // how many blobs the model knows

	size    func(i int) int
	made    *madeBlobs
	prepare func(ctx context.Context, t *Trial) error
	steps   func(ctx context.Context, t *Trial) error
}

// faultRun numbers the blobs of all scenarios.
const faultRun = 77

// madeBlobs keeps blobs, so that they are hashed once.
type madeBlobs struct {
	mu sync.Mutex
	m  map[int]blob.Verified
}

func (s Scenario) blob(i int) blob.Verified {
	s.made.mu.Lock()
	defer s.made.mu.Unlock()
	v, ok := s.made.m[i]
	if !ok {
		v = BlobOf(faultRun, i, s.size(i))
		s.made.m[i] = v
	}
	return v
}

// Scenarios walk through everything that an engine does with its disk: making a mount, puts of both sizes that fill and
// seal segments, gets that prove and gets that do not, deletes, flushes, closing; opening after a good stop and after a
// power cut; eviction, and what gives space back.
func Scenarios() []Scenario {
	mixed := func(i int) int {
		if i%4 == 3 {
			return 1 << 20
		}
		return 1000 + 7000*(i%4)
	}
	big := func(int) int { return 1 << 20 }
	return []Scenario{
		{Name: "life, always", Sync: engine.SyncAlways, Blobs: 12, size: mixed, made: newMade(), steps: life},
		{Name: "life, interval", Sync: engine.SyncInterval, Blobs: 12, size: mixed, made: newMade(), steps: life},
		{Name: "reopen", Sync: engine.SyncInterval, Blobs: 12, size: mixed, made: newMade(), prepare: fillAndClose, steps: reopen},
		{Name: "recovery", Sync: engine.SyncAlways, Blobs: 12, size: mixed, made: newMade(), prepare: fillAndCut, steps: reopen},
		{Name: "eviction", Sync: engine.SyncInterval, Evicting: true, Blobs: 14, size: big, made: newMade(), prepare: fillToCap, steps: evictSome},
	}
}

func newMade() *madeBlobs { return &madeBlobs{m: map[int]blob.Verified{}} }

// options never flush by themselves: when they did, and how many calls a trial makes, would differ from run to run.
func (t *Trial) options(fs diskfs.FS) engine.Options {
	o := Options(fs, t.Scenario.Sync, t.Scenario.Evicting, 0)
	o.ActiveSegments = 1
	return o
}

// open opens the engine. It is no error of the trial when that fails; then there is no engine.
func (t *Trial) open(ctx context.Context) error {
	return t.patient("open", func() error {
		e, err := engine.Open(ctx, t.options(t.fs))
		if err == nil {
			t.eng = e
		}
		return err
	})
}

// close closes the engine, and takes its last counts.
func (t *Trial) close(context.Context) error {
	if t.eng == nil {
		return nil
	}
	pending := t.model.pending()
	before := len(t.errs)
	err := t.patient("close", t.eng.Close)
	if err == nil && len(t.errs) == before {
		t.model.flushed(pending)
	}
	t.stats = t.eng.Stats()
	if t.stats.Pinned != 0 || t.stats.ColdBuffers != 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d handles and %d buffers are out", errUnexcused, t.stats.Pinned, t.stats.ColdBuffers))
	}
	return err
}

func (t *Trial) put(ctx context.Context, i int) error {
	known := t.model.snapshot()[i] == Durable
	if !known {
		t.model.begin(i)
	}
	before := len(t.errs)
	err := t.bounded(ctx, fmt.Sprintf("put %d", i), func(ctx context.Context) error {
		return t.eng.Put(ctx, t.Scenario.blob(i), blob.KindContent)
	})
	if !known && err == nil && len(t.errs) == before {
		t.model.ack(i, t.Scenario.Sync == engine.SyncAlways)
	}
	if len(t.errs) > before && t.Fault.Err == nil {
		t.adrift[i] = true
	}
	return err
}

func (t *Trial) delete(ctx context.Context, i int) error {
	t.model.begin(i)
	before := len(t.errs)
	err := t.bounded(ctx, fmt.Sprintf("delete %d", i), func(ctx context.Context) error {
		return t.eng.Delete(ctx, t.Scenario.blob(i).Hash())
	})
	if err == nil && len(t.errs) == before && !t.adrift[i] {
		t.model.set(i, Absent)
	}
	return err
}

func (t *Trial) flush(ctx context.Context) error {
	pending := t.model.pending()
	before := len(t.errs)
	err := t.bounded(ctx, "flush", t.eng.Flush)
	if err == nil && len(t.errs) == before {
		t.model.flushed(pending)
	}
	t.model.forget(pending) // an error said that they may be lost
	return err
}

// get reads a blob whole. What is deleted must not come, what comes must be right, and what must be there may only be
// missing when the engine counts a fault.
func (t *Trial) get(ctx context.Context, i int) error {
	return t.patient(fmt.Sprintf("get %d", i), func() error {
		state := t.model.snapshot()[i]
		there, err := read(ctx, t.eng, t.Scenario.blob(i))
		switch {
		case errors.Is(err, errWrong):
			return fmt.Errorf("%w: blob %d: %w", errUnexcused, i, err)
		case err != nil:
			return err
		case there && state == Absent && !t.Fault.ForGood:
			return fmt.Errorf("%w: blob %d was deleted and is there", errUnexcused, i)
		case !there && state == Durable && !t.Scenario.Evicting && t.quiet():
			return fmt.Errorf("%w: blob %d is missing, and no fault was counted", errUnexcused, i)
		case !there && state == Durable:
			t.missed[i] = true
		}
		return nil
	})
}

// quiet says whether the engine has seen no fault.
func (t *Trial) quiet() bool {
	t.stats = t.eng.Stats()
	return t.faultsCounted() == 0 && !t.stats.IndexFailed && !t.stats.Recovering
}

// settle waits for what the last run left over.
func (t *Trial) settle(ctx context.Context) error {
	return t.patient("recovery", func() error {
		ctx, cancel := context.WithTimeout(ctx, AnswerTime)
		defer cancel()
		if err := t.eng.WaitRecovered(ctx); err != nil {
			return fmt.Errorf("%w: it does not end: %w", errUnexcused, err)
		}
		return nil
	})
}

// each makes one call for some blobs.
func each(ctx context.Context, call func(context.Context, int) error, blobs ...int) error {
	for _, i := range blobs {
		if err := call(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// inOrder runs steps until one shows that the engine is wrong, and closes the engine whatever they show.
func (t *Trial) inOrder(ctx context.Context, steps ...func(context.Context) error) error {
	if err := t.open(ctx); err != nil || t.eng == nil {
		return err
	}
	var err error
	for _, step := range steps {
		if err = step(ctx); err != nil {
			break
		}
	}
	return errors.Join(err, t.close(ctx))
}

func life(ctx context.Context, t *Trial) error {
	return t.inOrder(ctx,
		func(ctx context.Context) error { return each(ctx, t.put, 0, 1, 2, 3) },
		func(ctx context.Context) error { return each(ctx, t.get, 0, 3, 0) },
		func(ctx context.Context) error { return each(ctx, t.delete, 1) },
		t.flush,
		func(ctx context.Context) error { return each(ctx, t.put, 4, 7) }, // 7 seals the first segment
		func(ctx context.Context) error { return each(ctx, t.delete, 3, 2) },
		func(ctx context.Context) error { return each(ctx, t.get, 0, 1, 3, 7) },
		func(ctx context.Context) error { return each(ctx, t.put, 11, 1) },
		t.flush,
		func(ctx context.Context) error { return each(ctx, t.get, 1, 11, 4) },
	)
}

func reopen(ctx context.Context, t *Trial) error {
	return t.inOrder(ctx,
		t.settle,
		func(ctx context.Context) error { return each(ctx, t.get, 0, 1, 2, 3, 4, 7) },
		func(ctx context.Context) error { return each(ctx, t.delete, 0, 4) },
		func(ctx context.Context) error { return each(ctx, t.put, 5, 8) },
		func(ctx context.Context) error { return each(ctx, t.get, 0, 2, 5, 7) },
	)
}

func evictSome(ctx context.Context, t *Trial) error {
	return t.inOrder(ctx,
		t.settle,
		func(ctx context.Context) error { return each(ctx, t.get, 5, 6) },
		func(ctx context.Context) error { return each(ctx, t.put, 7, 8, 9, 10, 11) },
		func(ctx context.Context) error { return each(ctx, t.get, 11, 10, 6, 5) },
	)
}

// prepared runs steps on a good disk, and leaves the trial without an engine.
func (t *Trial) prepared(ctx context.Context, after func(), steps ...func(context.Context) error) error {
	err := t.inOrder(ctx, append(steps, func(context.Context) error { after(); return nil })...)
	t.eng = nil
	return errors.Join(append(t.errs, err)...)
}

func fillAndClose(ctx context.Context, t *Trial) error {
	return t.prepared(ctx, func() {},
		func(ctx context.Context) error { return each(ctx, t.put, 0, 1, 2, 3, 4, 6, 7) },
		func(ctx context.Context) error { return each(ctx, t.delete, 6) },
	)
}

// fillAndCut cuts the power before anything but what was acknowledged had to be durable.
func fillAndCut(ctx context.Context, t *Trial) error {
	var disk *crashfs.FS
	var states map[int]State
	err := t.prepared(ctx,
		func() {
			disk, _ = t.fs.Cut(cutSeed)
			states = t.model.snapshot()
		},
		func(ctx context.Context) error { return each(ctx, t.put, 0, 1, 2, 3) },
		t.flush,
		func(ctx context.Context) error { return each(ctx, t.put, 4, 6, 7) },
		func(ctx context.Context) error { return each(ctx, t.delete, 6, 2) },
	)
	t.fs.Discard()
	t.fs = disk
	t.model.states = states
	return err
}

// cutSeed chooses what the power cut of fillAndCut loses.
const cutSeed = 3

func fillToCap(ctx context.Context, t *Trial) error {
	return t.prepared(ctx, func() {}, func(ctx context.Context) error { return each(ctx, t.put, 0, 1, 2, 3, 4, 5, 6) })
}
