package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// countingFS counts what is written through it, by what it is.
type countingFS struct {
	diskfs.FS
	payload, slots, log, tables, other atomic.Int64
}

func (c *countingFS) reset() {
	for _, n := range []*atomic.Int64{&c.payload, &c.slots, &c.log, &c.tables, &c.other} {
		n.Store(0)
	}
}

// metadata is all but payloads.
func (c *countingFS) metadata() int64 {
	return c.slots.Load() + c.log.Load() + c.tables.Load() + c.other.Load()
}

// Create counts what is written to the new file.
func (c *countingFS) Create(name string) (diskfs.File, error) { return c.wrap(name)(c.FS.Create(name)) }

// Open counts what is written to the file.
func (c *countingFS) Open(name string, write bool) (diskfs.File, error) {
	return c.wrap(name)(c.FS.Open(name, write))
}

func (c *countingFS) wrap(name string) func(diskfs.File, error) (diskfs.File, error) {
	return func(f diskfs.File, err error) (diskfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &countingFile{f, c, name}, nil
	}
}

type countingFile struct {
	diskfs.File
	c    *countingFS
	name string
}

// WriteAt counts. In a segment, whatever has the size of a slot is one.
func (f *countingFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	to := &f.c.other
	switch in := filepath.Base(filepath.Dir(f.name)); {
	case in == "segments" && len(p) == segments.SlotSize:
		to = &f.c.slots
	case in == "segments" && off > 0:
		to = &f.c.payload
	case filepath.Ext(f.name) == ".log":
		to = &f.c.log
	case filepath.Ext(f.name) == ".sst":
		to = &f.c.tables
	}
	to.Add(int64(n))
	return n, err
}

// writtenBy is what a process had the kernel write so far, in whole pages, as it says itself.
func writtenBy(tb testing.TB, pid string) int64 {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", pid, "io"))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return v
		}
	}
	tb.Fatal("the kernel does not count what a process writes")
	return 0
}

// deviceWrites is what the device under a folder was told to write so far, by anybody; 0 where it has no counter.
func deviceWrites(tb testing.TB, dir string) int64 {
	tb.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		tb.Fatal(err)
	}
	dev := info.Sys().(*syscall.Stat_t).Dev
	b, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(dev), unix.Minor(dev)))
	const sectorsWritten, sector = 6, 512
	fields := strings.Fields(string(b))
	if err != nil || len(fields) <= sectorsWritten {
		return 0
	}
	n, err := strconv.ParseInt(fields[sectorsWritten], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n * sector
}
