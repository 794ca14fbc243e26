package crashfs

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

// Kinds is all kinds, for tests that must have met each of them.
func Kinds() []Kind {
	out := make([]Kind, kinds)
	for i := range out {
		out[i] = Kind(i)
	}
	return out
}

// String is the kind's name: create, write, sync, …
func (k Kind) String() string {
	switch k {
	case OpCreate:
		return "create"
	case OpWrite:
		return "write"
	case OpSync:
		return "sync"
	case OpTruncate:
		return "truncate"
	case OpPreallocate:
		return "preallocate"
	case OpPunch:
		return "punch"
	case OpRemove:
		return "remove"
	case OpRename:
		return "rename"
	case OpMkdir:
		return "mkdir"
	case OpSyncDir:
		return "syncdir"
	}
	return "unknown"
}

// Op is a write-side call that is about to be made.
type Op struct {
	Kind Kind
	N    int    // the call's number on this file system, from 1
	Path string // as the caller gave it; for an open file, the name that it was opened by
	To   string // the new name of a rename
	Off  int64  // of a write, preallocation or punch
	Len  int64  // of those, in bytes; the new length of a truncation
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

// Ops is the number of write-side calls so far.
func (f *FS) Ops() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ops
}

// before numbers a call and asks the hook.
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
	if hook == nil {
		return nil
	}
	if err := hook(op); err != nil {
		return pathError(op.Kind.String(), op.Path, err)
	}
	return nil
}
