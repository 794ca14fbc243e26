package crashfs

import (
	"errors"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// ErrPowerOff is what every call gets after Freeze.
var ErrPowerOff = errors.New("crashfs: the power is off")

// FS is a file system in memory. Names begin at its root: "a/b" and "/a/b" are the same file. It is safe for concurrent
// use. The zero FS is not valid.
type FS struct {
	mu       sync.RWMutex
	root     *node
	inodes   uint64 // handed out so far
	used     int64  // blocks reserved by files that have a name or are open
	capacity int64  // blocks
	frozen   bool
	hook     func(Op) error
	ops      int
	readHook func(Op) error
	readOps  int
	locks    map[*node]bool
}

// node is a file or a folder, whatever its names are.
type node struct {
	ino    uint64
	folder *folder  // of a folder
	file   *content // of a file
	links  int      // names that callers see
	opens  int
	mtime  time.Time
	bad    []span // ranges that cannot be read
}

type span struct{ off, end int64 }

// noLimit is the capacity of a file system that has none, in blocks: 1 EiB.
const noLimit = 1 << 60 / BlockSize

// New makes an empty file system without a limit.
func New() *FS {
	f := &FS{capacity: noLimit, locks: map[*node]bool{}}
	f.root = f.newNode(true)
	return f
}

// SetCapacity limits the file system to n bytes, rounded down to whole blocks; 0 takes the limit away. What is there
// stays, even when it is more. Without room, Create and Preallocate are syscall.ENOSPC and WriteAt writes what fits.
func (f *FS) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n / BlockSize
	if n == 0 {
		f.capacity = noLimit
	}
}

// Freeze turns the power off: every call from now on, and every write-side call whose hook is running, gets ErrPowerOff
// and does nothing. Cut and Save still work.
func (f *FS) Freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = true
}

// Discard turns the power off for good and gives the memory of all files back: whoever still holds the file system, such
// as a goroutine that sleeps in one of its calls, then holds next to nothing.
func (f *FS) Discard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = true
	for _, n := range foldersUnder(f.root) {
		for _, child := range n.folder.now {
			if child.file != nil {
				*child.file = content{}
			}
		}
	}
	f.root.folder = newFolder()
	f.hook, f.readHook = nil, nil
}

// FailReads makes reads that touch [off, off+n) of a file fail with syscall.EIO from the first bad block on, whatever
// its name becomes. A length of 0 or less makes the whole file good again.
func (f *FS) FailReads(name string, off, n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	nd, err := f.find(name)
	if err == nil && nd.file == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return pathError("fail reads", name, err)
	}
	if n <= 0 {
		nd.bad = nil
		return nil
	}
	end := off + min(n, math.MaxInt64-off)
	nd.bad = append(nd.bad, span{off - off%BlockSize, end})
	return nil
}

func (f *FS) newNode(dir bool) *node {
	f.inodes++
	nd := &node{ino: f.inodes, mtime: time.Now()}
	if dir {
		nd.folder = newFolder()
	} else {
		nd.file = &content{}
	}
	return nd
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// find looks a name up.
func (f *FS) find(name string) (*node, error) {
	if f.frozen {
		return nil, ErrPowerOff
	}
	nd := f.root
	for part := range strings.SplitSeq(path.Clean("/" + name)[1:], "/") {
		if part == "" {
			break
		}
		if nd.folder == nil {
			return nil, syscall.ENOTDIR
		}
		if nd = nd.folder.now[part]; nd == nil {
			return nil, syscall.ENOENT
		}
	}
	return nd, nil
}

// parent looks up the folder that a name is in, and gives the name's last part.
func (f *FS) parent(name string) (*folder, string, error) {
	dir, base := path.Split(path.Clean("/" + name))
	nd, err := f.find(dir)
	switch {
	case err != nil:
		return nil, "", err
	case nd.folder == nil:
		return nil, "", syscall.ENOTDIR
	case base == "":
		return nil, "", syscall.EBUSY // the root itself
	}
	return nd.folder, base, nil
}

// Create makes a file, as diskfs.FS says.
func (f *FS) Create(name string) (diskfs.File, error) {
	h, err := f.create(name)
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (f *FS) create(name string) (*handle, error) {
	if err := f.before(Op{Kind: OpCreate, Path: name}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	nd, err := f.link(name, false)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	nd.opens++
	return &handle{fs: f, node: nd, name: name, write: true}, nil
}

// link gives a new file or folder a name.
func (f *FS) link(name string, dir bool) (*node, error) {
	in, base, err := f.parent(name)
	if err != nil {
		return nil, err
	}
	if in.now[base] != nil {
		return nil, syscall.EEXIST
	}
	if f.used >= f.capacity {
		return nil, syscall.ENOSPC
	}
	nd := f.newNode(dir)
	nd.links = 1
	do(dirStep{in, base, nd})
	return nd, nil
}

// Open opens a file, as diskfs.FS says.
func (f *FS) Open(name string, write bool) (diskfs.File, error) {
	if err := f.beforeRead(Op{Kind: OpOpen, Path: name}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	nd, err := f.find(name)
	if err == nil && nd.file == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	nd.opens++
	return &handle{fs: f, node: nd, name: name, write: write}, nil
}

// Mkdir makes a folder, as diskfs.FS says.
func (f *FS) Mkdir(name string) error {
	if err := f.before(Op{Kind: OpMkdir, Path: name}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.link(name, true); err != nil {
		return pathError("mkdir", name, err)
	}
	return nil
}

// Remove takes a name away, as diskfs.FS says.
func (f *FS) Remove(name string) error {
	if err := f.before(Op{Kind: OpRemove, Path: name}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	in, base, err := f.parent(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	nd := in.now[base]
	switch {
	case nd == nil:
		err = syscall.ENOENT
	case nd.folder != nil && len(nd.folder.now) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	do(dirStep{in, base, nil})
	f.unlinked(nd)
	return nil
}

// unlinked takes one name off the count, and frees what has neither name nor user.
func (f *FS) unlinked(nd *node) {
	nd.links--
	f.release(nd)
}

func (f *FS) release(nd *node) {
	if nd.file != nil && nd.links == 0 && nd.opens == 0 {
		f.used -= nd.file.alloc
	}
}

// Rename moves a file or folder, as diskfs.FS says. A folder under the new name is fs.ErrExist.
func (f *FS) Rename(oldname, newname string) error {
	if err := f.before(Op{Kind: OpRename, Path: oldname, To: newname}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.renameLocked(oldname, newname); err != nil {
		return pathError("rename", oldname, err)
	}
	return nil
}

func (f *FS) renameLocked(oldname, newname string) error {
	from, oldbase, err := f.parent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := f.parent(newname)
	if err != nil {
		return err
	}
	nd, target := from.now[oldbase], to.now[newbase]
	switch {
	case nd == nil:
		return syscall.ENOENT
	case strings.HasPrefix(path.Clean("/"+newname), path.Clean("/"+oldname)+"/"):
		return syscall.EINVAL // a folder into itself
	case target != nil && target.folder != nil:
		return syscall.EEXIST
	case nd == target:
		return nil
	case nd.folder != nil && target != nil:
		return syscall.ENOTDIR
	}
	do(dirStep{from, oldbase, nil}, dirStep{to, newbase, nd})
	if target != nil {
		f.unlinked(target)
	}
	return nil
}

// List gives the names in a folder, as diskfs.FS says.
func (f *FS) List(dir string) ([]string, error) {
	if err := f.beforeRead(Op{Kind: OpList, Path: dir}); err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	in, err := f.folder(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return slices.Sorted(maps.Keys(in.now)), nil
}

func (f *FS) folder(name string) (*folder, error) {
	nd, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if nd.folder == nil {
		return nil, syscall.ENOTDIR
	}
	return nd.folder, nil
}

// Stat describes a file or folder, as diskfs.FS says. Its Sys is nil.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	if err := f.beforeRead(Op{Kind: OpStat, Path: name}); err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	nd, err := f.find(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	info := fileInfo{name: path.Base(path.Clean("/" + name)), mode: fs.ModeDir | 0o755, mtime: nd.mtime}
	if nd.file != nil {
		info.mode, info.size = 0o644, nd.file.size
	}
	return info, nil
}

// SyncDir makes the names in a folder durable, as diskfs.FS says.
func (f *FS) SyncDir(dir string) error {
	if err := f.before(Op{Kind: OpSyncDir, Path: dir}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := f.folder(dir)
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	in.commit(len(in.log))
	return nil
}

// Usage is the space of the file system. It is the same everywhere.
func (f *FS) Usage(name string) (diskfs.Usage, error) {
	if err := f.beforeRead(Op{Kind: OpUsage, Path: name}); err != nil {
		return diskfs.Usage{}, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if _, err := f.find(name); err != nil {
		return diskfs.Usage{}, pathError("usage", name, err)
	}
	free := max(f.capacity-f.used, 0)
	return diskfs.Usage{Total: f.capacity * BlockSize, Free: free * BlockSize, Used: f.used * BlockSize}, nil
}

type fileInfo struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime time.Time
}

// Name is the last part of the path.
func (i fileInfo) Name() string { return i.name }

// Size is the length that callers see.
func (i fileInfo) Size() int64 { return i.size }

// Mode is the same for all files, and for all folders.
func (i fileInfo) Mode() fs.FileMode { return i.mode }

// ModTime is the time of the last write-side call.
func (i fileInfo) ModTime() time.Time { return i.mtime }

// IsDir tells a folder.
func (i fileInfo) IsDir() bool { return i.mode.IsDir() }

// Sys is nil: there is no system.
func (i fileInfo) Sys() any { return nil }
