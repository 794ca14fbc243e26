package engine_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

var (
	crashPoints = flag.Int("crash-points", 240, "how many power cuts TestCrashPoints makes")
	crashSeed   = flag.Uint64("crash-seed", 0, "seed of TestCrashPoints; 0 takes one from the clock")
	crashImage  = flag.String("crash-image", "", "folder of a crash image that TestCrashPoints saved: its recovery is repeated, and nothing else is done")
)

// TestCrashPoints cuts the power before calls of every kind, at every sync policy, with and without eviction.
func TestCrashPoints(t *testing.T) {
	if *crashImage != "" {
		enginetest.Replay(t, *crashImage)
		return
	}
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -crash-seed %d -crash-points %d", seed, *crashPoints)
	rng := rand.New(rand.NewPCG(seed, 0))
	var total crashfs.Report
	cuts := map[string]int{}
	all := plan(t, rng, *crashPoints)
	for _, p := range all {
		if t.Failed() {
			break
		}
		out := enginetest.Check(t, p)
		if !out.Cut {
			continue
		}
		total.Add(out.Report)
		cuts[fmt.Sprintf("%v %v", p.Sync, p.Kind)]++
	}
	done := 0
	for _, n := range cuts {
		done += n
	}
	t.Logf("%d power cuts of %d planned: %v", done, len(all), total)
	for _, k := range slices.Sorted(maps.Keys(cuts)) {
		t.Logf("%4d beside a call of %s", cuts[k], k)
	}
	if t.Failed() {
		return
	}
	if done < *crashPoints*9/10 {
		t.Errorf("only %d of %d cuts happened", done, *crashPoints)
	}
	for _, sync := range policies {
		for _, kind := range crashfs.Kinds() {
			if cuts[fmt.Sprintf("%v %v", sync, kind)] == 0 {
				t.Errorf("no power cut beside a %v with sync %v", kind, sync)
			}
		}
	}
	if !total.Lost() {
		t.Error("no power cut lost anything: the test has shown nothing")
	}
}

// TestCrashDeletedStaysDeleted cuts the power right after a Delete that no watermark covers.
func TestCrashDeletedStaysDeleted(t *testing.T) {
	for _, sync := range policies {
		t.Run(sync.String(), func(t *testing.T) { enginetest.DeletedStaysDeleted(t, sync, 30) })
	}
}

var policies = []engine.Sync{engine.SyncAlways, engine.SyncInterval, engine.SyncNever}

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
