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
	walked := map[crashfs.Kind]int{}
	runs, lost := 0, 0
	for _, f := range enginetest.Faults() {
		for _, s := range enginetest.Scenarios() {
			t.Run(f.Name+"/"+s.Name, func(t *testing.T) {
				began := time.Now()
				w := walk{scenario: s, fault: f, walked: map[crashfs.Kind]int{}}
				w.run(t)
				enginetest.Add(walked, w.walked)
				runs, lost = runs+w.runs, lost+w.lost
				t.Logf("%d of %d calls failed: %s; %d records that could not be read are gone (%v)",
					w.runs, w.calls, callTally(w.walked), w.lost, time.Since(began).Round(time.Millisecond))
			})
		}
	}
	t.Logf("%d calls failed, one a run: %s; 0 panics, 0 hangs; %d records that could not be read are gone", runs, callTally(walked), lost)
}

// walk is a walk over the calls of one scenario.
type walk struct {
	scenario enginetest.Scenario
	fault    enginetest.Fault
	calls    int // of a run in which nothing fails

	mu     sync.Mutex
	walked map[crashfs.Kind]int // by what the first failed call was
	runs   int
	lost   int
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
		w.runs++
		w.walked[res.First.Kind]++
		w.lost += res.Lost
	}
}

// callTally is counts by kind on one line.
func callTally(calls map[crashfs.Kind]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(calls)) {
		out = append(out, fmt.Sprintf("%v %d", k, calls[k]))
	}
	return strings.Join(out, ", ")
}
