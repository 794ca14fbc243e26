package enginetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// Point is where and how the power is cut. It says everything that the workload's own choices depend on; which call of
// the engine's own goroutines comes first may differ from run to run.
type Point struct {
	Sync     engine.Sync
	Evicting bool // with a cap that makes the engine evict: a missing blob then proves nothing
	Seed     uint64
	Kind     crashfs.Kind // the power is cut before the Nth call of this kind,
	Nth      int
	After    bool // or else before whatever call comes next
}

func (p Point) String() string {
	when := "before"
	if p.After {
		when = "after"
	}
	return fmt.Sprintf("sync=%v evicting=%v seed=%d %s %v %d", p.Sync, p.Evicting, p.Seed, when, p.Kind, p.Nth)
}

// Outcome is what a power cut left.
type Outcome struct {
	Cut     bool // false: the workload ended before the call came
	Report  crashfs.Report
	Model   map[int]State
	Disk    *crashfs.FS
	Calls   map[crashfs.Kind]int // write-side calls before the cut
	Verdict Verdict              // of Check
	blobs   []blob.Verified
}

// Run runs the workload up to the cut. The engine then goes on undisturbed on its own disk, and is closed: only the copy
// counts.
func Run(ctx context.Context, p Point) (Outcome, error) {
	fs, err := emptyDisk()
	if err != nil {
		return Outcome{}, err
	}
	r := newRun(p.Seed, p.Sync, p.Evicting, fs)
	out := Outcome{Calls: map[crashfs.Kind]int{}, blobs: r.blobs}
	var mu sync.Mutex
	fs.SetHook(func(op crashfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if out.Cut {
			return nil
		}
		due := p.After && out.Calls[p.Kind] >= p.Nth // the last call was the one
		if !p.After {
			due = op.Kind == p.Kind && out.Calls[op.Kind]+1 == p.Nth
		}
		if !due || p.Nth <= 0 {
			out.Calls[op.Kind]++
			return nil
		}
		// The model first: what is acknowledged while the disk is copied was not promised before the cut.
		out.Model = r.model.snapshot()
		out.Disk, out.Report = fs.Cut(p.Seed)
		out.Cut = true
		r.stop.Store(true)
		return nil
	})
	err = r.do(ctx)
	mu.Lock()
	defer mu.Unlock()
	return out, err
}

// emptyDisk is a file system in memory with the folder of a mount.
func emptyDisk() (*crashfs.FS, error) {
	fs := crashfs.New()
	if err := fs.Mkdir(Dir); err != nil {
		return nil, err
	}
	return fs, fs.SyncDir("/")
}

// Check runs one point and holds the outcome to the model. The outcome says whether the power was cut at all.
func Check(ctx context.Context, p Point) (Outcome, error) {
	out, err := Run(ctx, p)
	if err != nil {
		return out, fmt.Errorf("%v: %w", p, err)
	}
	if !out.Cut {
		return out, nil
	}
	promise := Promise{
		Options: Options(nil, p.Sync, p.Evicting, p.Seed), Blobs: out.blobs, States: out.Model, Evicting: p.Evicting,
	}
	out.Verdict, err = verify(ctx, fmt.Sprintf("%v (%v)", p, out.Report), p.Seed, promise, out.Disk)
	return out, err
}
