package enginetest

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// Fault is what a disk does to a call.
type Fault struct {
	Name    string
	Err     error // nil: the call is held up until it is released, and then made
	ForGood bool  // every later call that the fault applies to fails too
	kinds   []crashfs.Kind
}

// Faults are those that every call is tried with. A short read ends without a reason; a short write has no room for its
// second half.
func Faults() []Fault {
	all := slices.Concat(crashfs.Kinds(), crashfs.ReadKinds())
	room := []crashfs.Kind{
		crashfs.OpCreate, crashfs.OpWrite, crashfs.OpSync, crashfs.OpPreallocate, crashfs.OpRename, crashfs.OpMkdir, crashfs.OpSyncDir,
	}
	var out []Fault
	for _, forGood := range []bool{false, true} {
		when := "once"
		if forGood {
			when = "for good"
		}
		out = append(out,
			Fault{"EIO " + when, syscall.EIO, forGood, all},
			Fault{"ENOSPC " + when, syscall.ENOSPC, forGood, room},
			Fault{"short write " + when, crashfs.Short{Err: syscall.ENOSPC}, forGood, []crashfs.Kind{crashfs.OpWrite}},
			Fault{"short read " + when, crashfs.Short{Err: io.ErrUnexpectedEOF}, forGood, []crashfs.Kind{crashfs.OpRead}},
		)
	}
	return append(out, Fault{"stall", nil, false, all})
}

// String is the name.
func (f Fault) String() string { return f.Name }

func (f Fault) applies(k crashfs.Kind) bool { return slices.Contains(f.kinds, k) }

// Injector makes the n-th call on a file system fail, of those that a fault applies to. It is safe for concurrent use.
type Injector struct {
	fs    *crashfs.FS
	fault Fault
	nth   int // 0: none

	mu      sync.Mutex
	count   int
	hits    []crashfs.Op
	done    bool
	stalled chan struct{} // closed when a call is held up
	release chan struct{}
	once    sync.Once
}

// Inject installs an injector. Heal takes it away.
func Inject(fs *crashfs.FS, f Fault, nth int) *Injector {
	j := &Injector{
		fs: fs, fault: f, nth: nth,
		stalled: make(chan struct{}), release: make(chan struct{}),
	}
	fs.SetHook(j.hook)
	fs.SetReadHook(j.hook)
	return j
}

func (j *Injector) hook(op crashfs.Op) error {
	j.mu.Lock()
	if j.done || !j.fault.applies(op.Kind) {
		j.mu.Unlock()
		return nil
	}
	j.count++
	due := j.count == j.nth || j.fault.ForGood && j.nth > 0 && j.count > j.nth
	if due {
		j.hits = append(j.hits, op)
	}
	j.mu.Unlock()
	switch {
	case !due:
		return nil
	case j.fault.Err != nil:
		return j.fault.Err
	}
	close(j.stalled)
	<-j.release
	return nil
}

// Release lets a call go on that is held up, and holds up none any more.
func (j *Injector) Release() { j.once.Do(func() { close(j.release) }) }

// Heal makes the disk good again.
func (j *Injector) Heal() {
	j.Release()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done = true
}

// Count is how many calls that is.
func (j *Injector) Count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count
}

// Hits is the calls that met the fault.
func (j *Injector) Hits() []crashfs.Op {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.hits)
}

// opName is a call in messages.
func opName(op crashfs.Op) string {
	return fmt.Sprintf("%v %s %d+%d", op.Kind, strings.TrimPrefix(op.Path, Dir+string(filepath.Separator)), op.Off, op.Len)
}
