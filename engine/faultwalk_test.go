package engine_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/index/guardfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
)

var (
	allFaults = flag.Bool("all-faults", false, "let every call fail in TestFaultWalk, not only a sample")
	faultNth  = flag.Int("fault-nth", 0, "the only call that TestFaultWalk makes fail; choose scenario and fault with -run")
)

// faultSample is how many calls of each scenario the short walk makes fail with each fault.
const faultSample = 5

// parked is what a failed index may leave behind, and nothing else may: goroutines of Pebble, and the committer in it.
var parked = []string{guardfs.ParkFrame, "cockroachdb/pebble"}

// TestFaultWalk makes the n-th I/O call of each scenario fail, for every n and with every fault, once and for good:
// those of the index are among them. What must hold then is said at enginetest.Trial.
func TestFaultWalk(t *testing.T) {
	leaktest.Check(t, parked...)
	total := faultTally{Walked: map[crashfs.Kind]int{}}
	for _, f := range enginetest.Faults() {
		t.Run(f.Name, func(t *testing.T) {
			sum := faultTally{Walked: map[crashfs.Kind]int{}}
			apart(t, &sum, func() { sum = walkFault(t, f) })
			total.add(sum)
		})
	}
	t.Logf("calls: %v; 0 panics, 0 hangs", total)
}

// walkFault walks all scenarios with one fault.
func walkFault(t *testing.T, f enginetest.Fault) faultTally {
	sum := faultTally{Walked: map[crashfs.Kind]int{}}
	for _, s := range enginetest.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			began := time.Now()
			w := walk{scenario: s, fault: f, faultTally: faultTally{Walked: map[crashfs.Kind]int{}}}
			w.run(t)
			sum.add(w.faultTally)
			t.Logf("%s: %d calls, %v (%v)", s.Name, w.calls, w.faultTally, time.Since(began).Round(time.Millisecond))
		})
	}
	return sum
}

// faultTally is what a walk came to.
type faultTally struct {
	Walked map[crashfs.Kind]int // by what the first failed call was
	Runs   int
	Lost   int
}

func (s *faultTally) add(o faultTally) {
	enginetest.Add(s.Walked, o.Walked)
	s.Runs += o.Runs
	s.Lost += o.Lost
}

// String is the tally on one line.
func (s faultTally) String() string {
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(s.Walked)) {
		kinds = append(kinds, fmt.Sprintf("%v %d", k, s.Walked[k]))
	}
	return fmt.Sprintf("%d failed, one a run: %s; %d records that could not be read are gone", s.Runs, strings.Join(kinds, ", "), s.Lost)
}

// walk is a walk over the calls of one scenario.
type walk struct {
	scenario enginetest.Scenario
	fault    enginetest.Fault
	calls    int // of a run in which nothing fails

	mu sync.Mutex
	faultTally
}

func (w *walk) run(t *testing.T) {
	dry := enginetest.Trial{Scenario: w.scenario, Fault: w.fault}
	res, err := dry.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w.calls = res.Count; w.calls == 0 {
		return // this scenario makes no such call
	}
	if *faultNth > 0 {
		w.try(t, *faultNth)
		return
	}
	step, last := max(1, w.calls/faultSample), w.calls
	if *allFaults {
		step, last = 1, w.calls+w.calls/10 // runs differ a little in how many calls they make
	}
	// Many at once: on a disk that fails, most of the time is spent waiting for room that does not come.
	var trials sync.WaitGroup
	turn := make(chan struct{}, sideBySideFaults)
	for n := step; n <= last && !t.Failed(); n += step {
		turn <- struct{}{}
		trials.Go(func() {
			w.try(t, n)
			<-turn
		})
	}
	trials.Wait()
}

// sideBySideFaults is how many trials run at once.
const sideBySideFaults = 8

// try makes one call fail.
func (w *walk) try(t *testing.T, n int) {
	trial := enginetest.Trial{Scenario: w.scenario, Fault: w.fault, Nth: n}
	res, err := trial.Run(t.Context())
	if err != nil {
		t.Errorf("%v\nrepeat with\n\tgo test ./engine -run '%s' -fault-nth %d", err, t.Name(), n)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if res.Hit {
		w.add(faultTally{map[crashfs.Kind]int{res.First.Kind: 1}, 1, res.Lost})
	}
}
