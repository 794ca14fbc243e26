package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

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
	Cut    bool // false: the workload ended before the call came
	Report crashfs.Report
	Model  map[int]State
	Disk   *crashfs.FS
	Calls  map[crashfs.Kind]int
}

// Run runs the workload up to the cut. The engine then goes on undisturbed on its own disk, and is closed: only the copy
// counts.
func Run(ctx context.Context, p Point) (Outcome, error) {
	fs := crashfs.New()
	if err := fs.Mkdir(Dir); err != nil {
		return Outcome{}, err
	}
	if err := fs.SyncDir("/"); err != nil {
		return Outcome{}, err
	}
	r := newRun(p.Seed, p.Sync, p.Evicting, fs)
	out := Outcome{Calls: map[crashfs.Kind]int{}}
	var mu sync.Mutex
	fs.SetHook(func(op crashfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		due := p.After && out.Calls[p.Kind] >= p.Nth // the last call was the one
		out.Calls[op.Kind]++
		if !p.After {
			due = op.Kind == p.Kind && out.Calls[op.Kind] == p.Nth
		}
		if out.Cut || !due || p.Nth <= 0 {
			return nil
		}
		// The model first: what is acknowledged while the disk is copied was not promised before the cut.
		out.Model = r.model.snapshot()
		out.Disk, out.Report = fs.Cut(p.Seed)
		out.Cut = true
		r.stop.Store(true)
		return nil
	})
	err := r.do(ctx)
	mu.Lock()
	defer mu.Unlock()
	return out, err
}

// Check runs one point and holds the outcome to the model. It reports whether the power was cut at all.
func Check(t *testing.T, p Point) Outcome {
	t.Helper()
	out, err := Run(t.Context(), p)
	if err != nil {
		t.Fatalf("%v: %v", p, err)
	}
	if !out.Cut {
		return out
	}
	before, err := os.MkdirTemp("", "prism-crash-")
	if err != nil {
		t.Fatal(err)
	}
	img := image{Seed: p.Seed, Sync: p.Sync, Evicting: p.Evicting, Point: p.String(), States: out.Model}
	if err := img.verify(t.Context(), copyOf(out.Disk)); err != nil {
		where := img.save(t, out.Disk, before)
		t.Errorf("%v: %v\ndisk: %v\nrepeat the recovery with\n\tgo test ./engine -run TestCrashPoints -crash-image %s", p, err, out.Report, where)
		return out
	}
	_ = os.Remove(before)
	return out
}

// copyOf is the same disk again: nothing on it is unsynced, so there is nothing for a cut to lose.
func copyOf(disk *crashfs.FS) *crashfs.FS {
	same, _ := disk.Cut(0)
	return same
}

// image is a disk after a power cut, with what must hold on it.
type image struct {
	Seed     uint64
	Sync     engine.Sync
	Evicting bool
	Point    string
	States   map[int]State
}

// save writes the disk and the model beneath dir, and returns dir.
func (img image) save(t *testing.T, disk *crashfs.FS, dir string) string {
	t.Helper()
	if err := disk.Save(filepath.Join(dir, "disk")); err != nil {
		t.Logf("the image could not be saved: %v", err)
		return dir
	}
	b, err := json.MarshalIndent(img, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "model.json"), b, 0o600)
	}
	if err != nil {
		t.Logf("the model could not be saved: %v", err)
	}
	return dir
}

// Replay repeats the recovery of an image that a failed case saved.
func Replay(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	var img image
	if err := json.Unmarshal(b, &img); err != nil {
		t.Fatal(err)
	}
	disk, err := crashfs.Load(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Log(img.Point)
	if err := img.verify(t.Context(), disk); err != nil {
		t.Error(err)
	}
}
