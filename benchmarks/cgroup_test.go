package benchmarks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// memoryGroup is a cgroup that bounds the memory, page cache included, of what is run in it.
type memoryGroup struct{ procs string }

// limitMemory makes one, of version 1 or 2, whichever the machine has. It needs root.
func limitMemory(tb testing.TB, bytes int64) memoryGroup {
	tb.Helper()
	const v1, v2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
	root, knob := v1, "memory.limit_in_bytes"
	if _, err := os.Stat(filepath.Join(v1, knob)); err != nil {
		root, knob = v2, "memory.max"
	}
	dir := filepath.Join(root, fmt.Sprintf("prism-bench-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		tb.Fatalf("a memory cgroup is needed, and root to make one: %v", err)
	}
	tb.Cleanup(func() { _ = os.Remove(dir) })
	err := os.WriteFile(filepath.Join(dir, knob), []byte(strconv.FormatInt(bytes, 10)), 0)
	if err != nil {
		tb.Fatalf("the memory controller is needed (version 2: +memory in cgroup.subtree_control): %v", err)
	}
	return memoryGroup{filepath.Join(dir, "cgroup.procs")}
}

// inGroup joins a memory group and becomes another program: args are the file that takes the process id, the program's
// path, and its arguments.
func inGroup(args []string) error {
	if len(args) < 2 {
		return errors.New("want a group and a program")
	}
	if err := os.WriteFile(args[0], []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return err
	}
	return unix.Exec(args[1], args[1:], os.Environ())
}

// dropCaches empties the page cache. It needs root.
func dropCaches(tb testing.TB) {
	tb.Helper()
	unix.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		tb.Fatalf("the page cache cannot be emptied: %v", err)
	}
}
