package guardfs

import (
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ParkFrame is the function in whose frame parked goroutines sleep, as it is written in stack traces.
const ParkFrame = "github.com/OdyseeTeam/prism/index/guardfs.Park"

// Park puts the calling goroutine to sleep until the process ends.
//
//go:noinline
func Park() { select {} }

// phase is where in its life a file system is. It only ever grows.
type phase uint8

const (
	phaseRunning phase = iota
	phaseFailed
	phaseSevered
)

// class is what a call does, as far as guarding goes.
type class uint8

const (
	reading  class = iota // changes nothing
	removing              // its failure is not one of the disk, or costs space only
	writing               // its failure is what must not be seen
)

// WriteError is the failure of a call that writes.
type WriteError struct {
	Op   string // what was tried: create, write, sync, …
	Name string // of the file, without its folder
	Err  error
}

func (e *WriteError) Error() string { return e.Op + " " + e.Name + ": " + e.Err.Error() }

// Unwrap is what the inner file system returned.
func (e *WriteError) Unwrap() error { return e.Err }

// FS guards an inner file system, for one Pebble. It is safe for concurrent use.
type FS struct {
	inner  vfs.FS
	failed chan struct{} // closed once err is set
	parked chan struct{} // closed once a call parked
	empty  chan struct{} // closed once Sever has closed everything

	mu       sync.Mutex // no call of inner is made under it
	phase    phase
	err      error
	asleep   bool  // parked is closed
	inflight int   // calls that inner is at work on
	faults   int64 // calls that failed
	released bool  // severed, and nothing was in flight any more: files and locks were closed
	files    map[*file]struct{}
	locks    map[*lock]struct{}
	sizes    map[string]*size
}

// New guards inner.
func New(inner vfs.FS) *FS {
	return &FS{
		inner:  inner,
		failed: make(chan struct{}),
		parked: make(chan struct{}),
		empty:  make(chan struct{}),
		files:  make(map[*file]struct{}),
		locks:  make(map[*lock]struct{}),
		sizes:  make(map[string]*size),
	}
}

// Failed is closed at the first failure.
func (g *FS) Failed() <-chan struct{} { return g.failed }

// Err is the first failure, or nil: a *WriteError, or what Fail was given.
func (g *FS) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Parked is closed when the first call parked. A pebble.Open under which a call parked will not return.
func (g *FS) Parked() <-chan struct{} { return g.parked }

// Fail latches from outside: Pebble found out by itself that it cannot go on. It does not block. Only the first failure
// is kept.
func (g *FS) Fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failLocked(err)
}

// Halt latches and parks the caller: it does not return.
func (g *FS) Halt(err error) {
	g.Fail(err)
	g.park()
}

// Sever ends the use of a failed file system: every later call parks, reads included, and all that is open is closed as
// soon as no call is in flight, the lock last. The caller makes sure that no reader of its own is left. What is returned
// is closed when that is done, which may be never when the disk does not answer.
func (g *FS) Sever() <-chan struct{} {
	g.mu.Lock()
	g.phase = phaseSevered
	g.releaseLocked()
	return g.empty
}

// enter admits a call, or parks it.
func (g *FS) enter(c class) {
	g.mu.Lock()
	if g.barredLocked(c) {
		g.mu.Unlock()
		g.park()
	}
	g.inflight++
	g.mu.Unlock()
}

// barredLocked says whether a call of this class may no longer reach inner.
func (g *FS) barredLocked(c class) bool {
	switch g.phase {
	case phaseRunning:
		return false
	case phaseFailed:
		return c != reading
	}
	return true
}

// leave ends what enter began. It returns err, or parks when err is a failure that Pebble must not see.
func (g *FS) leave(c class, op, name string, err error) error {
	g.mu.Lock()
	g.inflight--
	g.countLocked(err)
	fault := err != nil && c == writing
	if fault {
		g.failLocked(&WriteError{Op: op, Name: g.inner.PathBase(name), Err: err})
	}
	g.releaseLocked()
	if fault {
		g.park()
	}
	return err
}

// count counts a call that failed.
func (g *FS) count(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.countLocked(err)
}

// countLocked is count under mu. That there is no file, or no more of it, is an answer.
func (g *FS) countLocked(err error) {
	if err != nil && err != io.EOF && !errors.Is(err, fs.ErrNotExist) {
		g.faults++
	}
}

// Faults is how many calls have failed so far, those included that Pebble can do without.
func (g *FS) Faults() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.faults
}

func (g *FS) failLocked(err error) {
	if g.err == nil {
		g.err = err
		close(g.failed)
	}
	if g.phase == phaseRunning {
		g.phase = phaseFailed
	}
}

// releaseLocked closes what is open once a severed file system is at rest. It unlocks mu.
func (g *FS) releaseLocked() {
	if g.phase != phaseSevered || g.inflight > 0 || g.released {
		g.mu.Unlock()
		return
	}
	g.released = true
	var all []io.Closer
	for f := range g.files {
		all = append(all, f.inner)
	}
	for l := range g.locks {
		all = append(all, l.inner)
	}
	clear(g.files)
	clear(g.locks)
	g.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // an abandoned file: there is nothing to be done about it
	}
	close(g.empty)
}

// park sleeps for ever, and says so first.
func (g *FS) park() {
	g.mu.Lock()
	if !g.asleep {
		g.asleep = true
		close(g.parked)
	}
	g.mu.Unlock()
	Park()
}
