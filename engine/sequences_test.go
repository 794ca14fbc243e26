package engine_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine/enginetest"
)

var (
	sequences   = flag.Int("sequences", 40, "how many sequences TestCrashSequences walks, chosen at random; 0 walks all of them")
	sequence    = flag.String("sequence", "", "walk only sequences that begin so: start/sync/operation/…")
	cutsAMoment = flag.Int("cuts-a-moment", 3, "how many outcomes TestCrashSequences tries of each power cut")
)

// TestCrashSequences walks short sequences of operations and cuts the power beside each sync that they make.
func TestCrashSequences(t *testing.T) {
	kit, err := enginetest.NewKit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	all := enginetest.Sequences(3)
	all = slices.DeleteFunc(all, func(s enginetest.Sequence) bool { return !strings.HasPrefix(s.String(), *sequence) })
	if *sequences > 0 {
		t.Logf("the same choice again with -crash-seed %d -sequences %d", seed, *sequences)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(len(all), *sequences)]
	}
	var mu sync.Mutex
	var sum enginetest.Walked
	sideBySide(t, len(all), func(i int) error {
		w, err := kit.Walk(t.Context(), all[i], *cutsAMoment)
		mu.Lock()
		defer mu.Unlock()
		sum.Add(w)
		return err
	})
	t.Logf("%d sequences of at most 3 operations; %d syncs, %d moments beside them and at the ends, %d power cuts", sum.Sequences, sum.Syncs, sum.Moments, sum.Cuts)
	t.Logf("disks: %v", sum.Report)
	t.Logf("%v", sum.Verdict)
	if !t.Failed() && (!sum.Report.Lost() || sum.Verdict.Durable == 0) {
		t.Error("no power cut lost anything, or nothing was promised: the test has shown nothing")
	}
}
