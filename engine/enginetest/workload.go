package enginetest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Dir is where the mount is, on the file system of a run.
const Dir = "/mount"

// blobCount is how many blobs a run chooses from.
const blobCount = 48

// Options are those of a run's engine: small segments, so that each run creates, fills, empties and unlinks some.
// Some runs flush by themselves all the time, the others as good as never.
func Options(fs diskfs.FS, sync engine.Sync, evicting bool, seed uint64) engine.Options {
	interval := 5 * time.Millisecond
	if seed%2 == 0 {
		interval = time.Minute
	}
	o := engine.Options{
		FS: fs, Dir: Dir, Sync: sync, SyncInterval: interval,
		SegmentSize: blob.MaxSize, ActiveSegments: 2, IndexCache: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	}
	o.MinFree = 1
	if evicting {
		o.MaxSize = 34 << 20 // the index's reserve and a handful of segments
	}
	return o
}

// run is one workload: opens, calls and closes, decided by its seed.
type run struct {
	seed     uint64
	sync     engine.Sync
	evicting bool
	fs       diskfs.FS
	model    *Model
	stop     atomic.Bool // the power was cut: nothing that happens now matters
	blobs    []blob.Verified
}

func newRun(seed uint64, sync engine.Sync, evicting bool, fs diskfs.FS) *run {
	return &run{seed: seed, sync: sync, evicting: evicting, fs: fs, model: newModel(), blobs: blobsOf(seed)}
}

// do runs the whole workload, or until the power is cut. Errors before the cut are faults of the engine.
func (r *run) do(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(r.seed, 99))
	for session := range 2 {
		e, err := engine.Open(ctx, Options(r.fs, r.sync, r.evicting, r.seed))
		if err != nil {
			return r.unlessCut(fmt.Errorf("open %d: %w", session, err))
		}
		err = r.calls(ctx, e, rng)
		closed := r.model.pending()
		if cerr := e.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return r.unlessCut(err)
		}
		r.model.flushed(closed)
		if r.stop.Load() {
			return nil
		}
	}
	return nil
}

func (r *run) unlessCut(err error) error {
	if r.stop.Load() {
		return nil
	}
	return err
}

// calls makes a session's calls, one at a time; what runs beside them is the engine's own.
func (r *run) calls(ctx context.Context, e *engine.Engine, rng *rand.Rand) error {
	for range 90 {
		if r.stop.Load() {
			return nil
		}
		if err := r.call(ctx, e, rng); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) call(ctx context.Context, e *engine.Engine, rng *rand.Rand) error {
	i := rng.IntN(len(r.blobs))
	v := r.blobs[i]
	switch k := rng.IntN(100); {
	case k < 55:
		return r.put(ctx, e, i)
	case k < 80:
		r.model.begin(i)
		if err := e.Delete(ctx, v.Hash()); err != nil {
			return fmt.Errorf("delete %d: %w", i, err)
		}
		r.model.set(i, Absent)
	case k < 90:
		pending := r.model.pending()
		if err := e.Flush(ctx); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		r.model.flushed(pending)
	default:
		if h, err := e.Get(ctx, v.Hash()); err == nil {
			h.Release()
		}
	}
	return nil
}

func (r *run) put(ctx context.Context, e *engine.Engine, i int) error {
	had, err := e.Has(ctx, r.blobs[i].Hash())
	if err != nil {
		return err
	}
	if had && !r.evicting {
		return e.Put(ctx, r.blobs[i], blob.KindContent) // changes nothing that was promised
	}
	r.model.begin(i)
	if err := e.Put(ctx, r.blobs[i], blob.KindContent); err != nil {
		return fmt.Errorf("put %d: %w", i, err)
	}
	r.model.ack(i, r.sync == engine.SyncAlways)
	return nil
}
