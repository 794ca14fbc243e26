package engine_test

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

var (
	crashPoints = flag.Int("crash-points", 500, "how many power cuts TestCrashPoints makes")
	crashSeed   = flag.Uint64("crash-seed", 0, "seed of TestCrashPoints; 0 takes one from the clock")
	crashImage  = flag.String("crash-image", "", "folder of a crash image that a test saved: TestCrashPoints repeats its recovery, and does nothing else")
)

var policies = []engine.Sync{engine.SyncAlways, engine.SyncInterval, engine.SyncNever}

// TestCrashPoints cuts the power before calls of every kind, at every sync policy, with and without eviction.
func TestCrashPoints(t *testing.T) {
	if *crashImage != "" {
		if err := enginetest.Replay(t.Context(), *crashImage); err != nil {
			t.Error(err)
		}
		return
	}
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -crash-seed %d -crash-points %d", seed, *crashPoints)
	rng := rand.New(rand.NewPCG(seed, 0))
	sum := newTally()
	planned := 0
	// A call that was planned may not come; others are tried instead.
	for range 3 {
		all := plan(t, rng, *crashPoints-sum.done)
		planned += len(all)
		sideBySide(t, len(all), func(i int) error {
			out, err := enginetest.Check(t.Context(), all[i])
			sum.add(all[i], out)
			return err
		})
		if t.Failed() || sum.done >= *crashPoints {
			break
		}
	}
	sum.log(t)
	t.Logf("%d power cuts of %d planned", sum.done, planned)
	if !t.Failed() {
		sum.judge(t, *crashPoints)
	}
}

// sideBySide makes n calls, as many at once as there are processors, until one fails.
func sideBySide(t *testing.T, n int, call func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !t.Failed(); i = int(next.Add(1)) - 1 {
				if err := call(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// tally is what the points of a run came to.
type tally struct {
	mu      sync.Mutex
	done    int
	cuts    map[string]map[crashfs.Kind]int // by policy and by the kind of the call that the cut stands beside
	calls   map[string]map[crashfs.Kind]int // that were made before the cuts
	report  crashfs.Report
	verdict enginetest.Verdict
}

func newTally() *tally {
	s := &tally{cuts: map[string]map[crashfs.Kind]int{}, calls: map[string]map[crashfs.Kind]int{}}
	for _, p := range policies {
		s.cuts[p.String()], s.calls[p.String()] = map[crashfs.Kind]int{}, map[crashfs.Kind]int{}
	}
	return s
}

func (s *tally) add(p enginetest.Point, out enginetest.Outcome) {
	if !out.Cut {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	s.cuts[p.Sync.String()][p.Kind]++
	for k, n := range out.Calls {
		s.calls[p.Sync.String()][k] += n
	}
	s.report.Add(out.Report)
	s.verdict.Add(out.Verdict)
}

func (s *tally) log(t *testing.T) {
	t.Helper()
	for _, p := range policies {
		for _, k := range crashfs.Kinds() {
			t.Logf("%-8v %-11v %9d calls, %5d power cuts beside one", p, k, s.calls[p.String()][k], s.cuts[p.String()][k])
		}
	}
	t.Logf("disks: %v", s.report)
	t.Logf("%v", s.verdict)
}

// judge holds a run without a fault to what it was meant to show.
func (s *tally) judge(t *testing.T, least int) {
	t.Helper()
	if s.done < least {
		t.Errorf("only %d cuts happened", s.done)
	}
	for _, p := range policies {
		for _, k := range crashfs.Kinds() {
			if s.cuts[p.String()][k] == 0 {
				t.Errorf("no power cut beside a %v with sync %v", k, p)
			}
		}
	}
	if !s.report.Lost() || s.verdict.Durable == 0 || s.verdict.Read == 0 {
		t.Error("no power cut lost anything, or nothing was promised: the test has shown nothing")
	}
}

// TestCrashDeletedStaysDeleted cuts the power right after a Delete that no watermark covers.
func TestCrashDeletedStaysDeleted(t *testing.T) {
	for _, sync := range policies {
		t.Run(sync.String(), func(t *testing.T) {
			if err := enginetest.DeletedStaysDeleted(t.Context(), sync, 30); err != nil {
				t.Error(err)
			}
		})
	}
}

// plan spreads the points over policies and kinds of calls. How often a run makes each kind of call is found by
// running it whole.
func plan(t *testing.T, rng *rand.Rand, n int) []enginetest.Point {
	calls := map[engine.Sync]map[crashfs.Kind]int{}
	for _, sync := range policies {
		out, err := enginetest.Run(t.Context(), enginetest.Point{Sync: sync, Seed: rng.Uint64(), Nth: -1})
		if err != nil {
			t.Fatal(err)
		}
		calls[sync] = out.Calls
	}
	var points []enginetest.Point
	for len(points) < n {
		for _, sync := range policies {
			for _, kind := range crashfs.Kinds() {
				// Runs differ a little in how many calls they make: the last tenth may not come.
				most := max(1, calls[sync][kind]*9/10)
				points = append(points, enginetest.Point{
					Sync: sync, Kind: kind, Seed: rng.Uint64(), Nth: 1 + rng.IntN(most),
					After: rng.IntN(2) == 0, Evicting: rng.IntN(4) == 0,
				})
			}
		}
	}
	return points
}
