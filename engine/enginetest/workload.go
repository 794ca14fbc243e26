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
	caller
	seed uint64
	fs   diskfs.FS
	stop atomic.Bool // the power was cut: nothing that happens now matters
}

func newRun(seed uint64, sync engine.Sync, evicting bool, fs diskfs.FS) *run {
	return &run{caller: caller{sync: sync, evicting: evicting, blobs: blobsOf(seed), model: newModel()}, seed: seed, fs: fs}
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
		if cerr := r.close(e); err == nil {
			err = cerr
		}
		if err != nil {
			return r.unlessCut(err)
		}
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
	switch k := rng.IntN(100); {
	case k < 55:
		return r.put(ctx, e, i)
	case k < 80:
		return r.delete(ctx, e, i)
	case k < 90:
		return r.flush(ctx, e)
	default:
		return r.get(ctx, e, i)
	}
}
