package crashfs

import (
	"errors"
	"io"
)

// Kind is a kind of write-side call.
type Kind int

// The write-side calls of diskfs.FS and diskfs.File. A Lock that has to make its file is an OpCreate.
const (
	OpCreate Kind = iota
	OpWrite
	OpSync
	OpTruncate
	OpPreallocate
	OpPunch
	OpRemove
	OpRename
	OpMkdir
	OpSyncDir
	kinds
)

// The read-side calls, and Close, which can tell of a write that was lost. Seek is SeekData and SeekHole; Stat is that,
// Size and Allocated.
const (
	OpOpen Kind = kinds + iota
	OpRead
	OpSeek
	OpStat
	OpList
	OpUsage
	OpMap
	OpCached
	OpClose
	allKinds
)

// Kinds is all kinds of write-side calls, for tests that must have met each of them.
func Kinds() []Kind { return between(0, kinds) }

// ReadKinds is the other kinds.
func ReadKinds() []Kind { return between(kinds, allKinds) }

func between(from, to Kind) []Kind {
	out := make([]Kind, 0, to-from)
	for k := from; k < to; k++ {
		out = append(out, k)
	}
	return out
}

var kindNames = [allKinds]string{
	"create", "write", "sync", "truncate", "preallocate", "punch", "remove", "rename", "mkdir", "syncdir",
	"open", "read", "seek", "stat", "list", "usage", "map", "cached", "close",
}

// String is the kind's name: create, write, sync, …
func (k Kind) String() string {
	if k < 0 || k >= allKinds {
		return "unknown"
	}
	return kindNames[k]
}

// Short is an error of a hook that lets the first half of a read or write happen before the call fails with Err. Other
// calls do nothing, and fail with it.
type Short struct {
	Err error // io.EOF ends a read as the end of its file would
}

func (s Short) Error() string { return "cut short: " + s.Err.Error() }

// Unwrap is Err.
func (s Short) Unwrap() error { return s.Err }

// Op is a call that is about to be made.
type Op struct {
	Kind Kind
	N    int    // the call's number on this file system, from 1; calls of the two sides are counted by themselves
	Path string // as the caller gave it; for an open file, the name that it was opened by
	To   string // the new name of a rename
	Off  int64  // of a read, seek, write, preallocation or punch
	Len  int64  // of those but the seek, in bytes; the new length of a truncation
}

// SetHook installs a function that is called before each write-side call, and nil takes it away. When it returns an
// error the call does nothing and returns that error, wrapped (a failed Sync has its cost all the same, see above). It
// runs without a lock, on the goroutine of the call: it may block, Cut, Freeze, and use the file system, but for
// write-side calls, which would come back to it. Concurrent calls run it concurrently.
func (f *FS) SetHook(hook func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// SetReadHook is SetHook for the read-side calls. A Close that the hook fails has closed the file all the same.
func (f *FS) SetReadHook(hook func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readHook = hook
}

// Ops is the number of write-side calls so far.
func (f *FS) Ops() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ops
}

// before numbers a write-side call and asks the hook.
func (f *FS) before(op Op) error {
	f.mu.Lock()
	if f.frozen {
		f.mu.Unlock()
		return pathError(op.Kind.String(), op.Path, ErrPowerOff)
	}
	f.ops++
	op.N = f.ops
	hook := f.hook
	f.mu.Unlock()
	return ask(hook, op)
}

// beforeRead is before for read-side calls. Without a hook it costs a look.
func (f *FS) beforeRead(op Op) error {
	f.mu.RLock()
	hook := f.readHook
	f.mu.RUnlock()
	if hook == nil {
		return nil
	}
	f.mu.Lock()
	f.readOps++
	op.N = f.readOps
	f.mu.Unlock()
	return ask(hook, op)
}

func ask(hook func(Op) error, op Op) error {
	if hook == nil {
		return nil
	}
	if err := hook(op); err != nil {
		return pathError(op.Kind.String(), op.Path, err)
	}
	return nil
}

// half is how much of n bytes is done of a call that a hook has refused: nothing, or half if it was Short. The error is
// what the call then returns.
func half(n int, err error) (int, error) {
	var short Short
	switch {
	case !errors.As(err, &short):
		return 0, err
	case short.Err == io.EOF:
		return n / 2, io.EOF // as it is: callers compare
	}
	return n / 2, err
}
