// Package leaktest fails a test that leaves goroutines or file descriptors behind.
//
// Both checks compare the process before and after, so a test that uses one must not run beside others (no t.Parallel).
// Call them first: cleanups run in reverse, and what is to be closed must be registered after the check. Both wait a
// while for what is on its way out, since closing is rarely finished the moment it returns.
package leaktest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	patience = 5 * time.Second
	pause    = 5 * time.Millisecond
)

// Check makes the test fail when it ends and goroutines that were started since are still alive after a few seconds,
// except those whose stack contains one of the texts in ignore: name there a function in which something is allowed to
// stay parked.
func Check(t testing.TB, ignore ...string) {
	t.Helper()
	ignore = append(ignore,
		"testing.tRunner", // the test itself, and its subtests
		"os/signal.loop",  // started once for the process
	)
	before := goroutines(nil)
	t.Cleanup(func() {
		await(t, "goroutine", before, func() map[string]string { return goroutines(ignore) })
	})
}

// goroutines are the stacks of those that contain none of the texts, by number.
func goroutines(ignore []string) map[string]string {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	out := map[string]string{}
next:
	for stack := range strings.SplitSeq(string(buf[:n]), "\n\n") {
		for _, text := range ignore {
			if strings.Contains(stack, text) {
				continue next
			}
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		out[number] = stack
	}
	return out
}

// FDs makes the test fail when it ends and files, sockets or pipes that were opened since are still open after a few
// seconds. It needs /proc.
func FDs(t testing.TB) {
	t.Helper()
	before := descriptors()
	if len(before) == 0 {
		t.Fatal("leaktest: /proc/self/fd lists nothing")
	}
	t.Cleanup(func() { await(t, "descriptor", before, descriptors) })
}

// descriptors are the files behind them, by number and file: a number may come to mean another file.
func descriptors() map[string]string {
	const dir = "/proc/self/fd"
	out := map[string]string{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || // the one that listed the folder, closed again
			target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" { // the runtime's poller
			continue
		}
		out[e.Name()+" "+target] = e.Name() + " is open: " + target
	}
	return out
}

// await fails the test with what is there and was not before, unless it goes in time.
func await(t testing.TB, what string, before map[string]string, now func() map[string]string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		left := now()
		for key := range before {
			delete(left, key)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, text := range left {
				t.Errorf("leaked %s: %s", what, text)
			}
			return
		}
		time.Sleep(pause)
	}
}
