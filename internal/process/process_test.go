package process_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/process"
)

// start starts a shell script.
func start(t *testing.T, script string) *process.Child {
	t.Helper()
	c, err := process.Start("the script", filepath.Join(t.TempDir(), "log"), exec.Command("sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

// awaitLog waits until the child has written something, so that its traps are set.
func awaitLog(t *testing.T, c *process.Child) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if b, err := os.ReadFile(c.Log()); err == nil && len(b) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the script wrote nothing")
		}
	}
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want one with %q", err, w)
		}
	}
}

func TestStopOfOneThatEndsWell(t *testing.T) {
	c := start(t, `trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done`)
	awaitLog(t, c)
	if err := c.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	wantError(t, c.Stop(time.Second), "ended by itself")
}

func TestStopOfOneThatEndsBadly(t *testing.T) {
	c := start(t, `trap 'echo the reason; exit 3' TERM; echo up; while :; do sleep 0.01; done`)
	awaitLog(t, c)
	wantError(t, c.Stop(20*time.Second), "ended badly", "exit status 3", "the reason")
}

func TestStopOfOneThatDoesNotEnd(t *testing.T) {
	c := start(t, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
	awaitLog(t, c)
	wantError(t, c.Stop(50*time.Millisecond), "did not end")
	select {
	case <-c.Done():
	default:
		t.Error("it still runs")
	}
}

func TestWaitReady(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	c := start(t, `exec sleep 60`)
	if err := c.WaitReady(t.Context(), s.URL); err != nil || asked.Load() != 3 {
		t.Errorf("asked %d times, %v: want ready at the third", asked.Load(), err)
	}
	c = start(t, `echo the reason; exit 4`)
	wantError(t, c.WaitReady(t.Context(), "http://127.0.0.1:1/"), "ended by itself", "exit status 4", "the reason")
}

func TestCPU(t *testing.T) {
	c := start(t, `while :; do :; done`)
	deadline := time.Now().Add(20 * time.Second)
	for {
		used, err := c.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if used >= 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a busy loop used %v", used)
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.Kill()
	if _, err := c.CPU(); err == nil {
		t.Error("a process that is gone still has processor time")
	}
	if used := c.FinalCPU(); used < 50*time.Millisecond {
		t.Errorf("in all it used %v, less than while it ran", used)
	}
}
