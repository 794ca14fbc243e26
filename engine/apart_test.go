package engine_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// apartKey is the variable that makes this process one that apart started, and says where its result goes.
const apartKey = "PRISM_ENGINE_APART"

// apart runs f, which is the whole of a subtest, in a process of its own when every fault is walked: each index that a
// fault has parked stays in memory until its process ends, and there are thousands of them. What f leaves behind result,
// if that is not nil, comes back.
func apart(t *testing.T, result any, f func()) {
	t.Helper()
	file := os.Getenv(apartKey)
	if !*allFaults || *faultNth > 0 || file != "" {
		f()
		if file != "" && result != nil {
			keep(t, file, result)
		}
		return
	}
	file = filepath.Join(t.TempDir(), "result")
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	args := []string{"-test.v", "-test.run", strings.Join(pattern, "/"), "-all-faults"}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout", time.Until(end).String())
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	// Should this process be killed the other goes with it; that is tied to the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), apartKey+"="+file)
	b, err := cmd.CombinedOutput()
	out := string(b)
	if err != nil || !strings.Contains(out, "--- PASS: "+t.Name()+" (") {
		t.Fatalf("in a process of its own: %v\n%s", err, out)
	}
	most := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
	t.Logf("in a process of its own, of at most %d MiB%s", most, said(out))
	if result == nil {
		return
	}
	if b, err = os.ReadFile(file); err == nil {
		err = json.Unmarshal(b, result)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func keep(t *testing.T, file string, result any) {
	t.Helper()
	b, err := json.Marshal(result)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// said is what a test printed, without the names of its parts.
func said(out string) string {
	var kept strings.Builder
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") {
			kept.WriteString("\n    " + strings.TrimSpace(line))
		}
	}
	return kept.String()
}
