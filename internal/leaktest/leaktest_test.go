package leaktest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/OdyseeTeam/prism/internal/leaktest"
)

// inner is a test inside a test: its failures are noted, and its cleanups run when end is called.
type inner struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (i *inner) Helper()          {}
func (i *inner) Cleanup(f func()) { i.cleanups = append(i.cleanups, f) }
func (i *inner) Errorf(format string, args ...any) {
	i.failures = append(i.failures, fmt.Sprintf(format, args...))
}

func (i *inner) end() []string {
	for _, f := range i.cleanups {
		f()
	}
	return i.failures
}

func parkedForTheTest(stop <-chan struct{}) { <-stop }

// The patience of the checks passes in the bubble's time.
func TestCheckFindsAGoroutine(t *testing.T) { synctest.Test(t, checkFindsAGoroutine) }

func checkFindsAGoroutine(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	strict, lenient := &inner{TB: t}, &inner{TB: t}
	leaktest.Check(strict)
	leaktest.Check(lenient, "parkedForTheTest")
	go parkedForTheTest(stop)
	if got := lenient.end(); len(got) != 0 {
		t.Errorf("an ignored goroutine is reported: %q", got)
	}
	if got := strict.end(); len(got) != 1 || !strings.Contains(got[0], "parkedForTheTest") {
		t.Errorf("the leak is reported as %q", got)
	}
}

func TestCheckWaitsForWhatIsEnding(t *testing.T) {
	stop := make(chan struct{})
	i := &inner{TB: t}
	leaktest.Check(i)
	go parkedForTheTest(stop)
	time.AfterFunc(50*time.Millisecond, func() { close(stop) })
	if got := i.end(); len(got) != 0 {
		t.Errorf("a goroutine that ended is reported: %q", got)
	}
}

func TestCheckIgnoresWhatWasThere(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	go parkedForTheTest(stop)
	i := &inner{TB: t}
	leaktest.Check(i)
	if got := i.end(); len(got) != 0 {
		t.Errorf("an older goroutine is reported: %q", got)
	}
}

func TestFDs(t *testing.T) { synctest.Test(t, fdsFindsAFile) }

func fdsFindsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "left open")
	clean := &inner{TB: t}
	leaktest.FDs(clean)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := clean.end(); len(got) != 0 {
		t.Errorf("a closed file is reported: %q", got)
	}

	leaky := &inner{TB: t}
	leaktest.FDs(leaky)
	if f, err = os.Open(name); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := leaky.end(); len(got) != 1 || !strings.Contains(got[0], name) {
		t.Errorf("the leak is reported as %q", got)
	}
}
