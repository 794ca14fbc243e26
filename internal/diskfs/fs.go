package diskfs

import (
	"io"
	"io/fs"
)

// FS is the part of a file system that a mount lives on. Names are paths as the operating system understands them.
// All methods are safe for concurrent use. Errors wrap the system's (errors.Is with fs.ErrNotExist, syscall.ENOSPC, …).
type FS interface {
	// Create makes an empty file open for reading and writing; one that exists is fs.ErrExist. The entry is durable
	// only after SyncDir of its folder.
	Create(name string) (File, error)
	// Open opens a file for reading and, when write is set, writing.
	Open(name string, write bool) (File, error)
	// Remove unlinks a file, or removes an empty folder. Open files and mappings stay good.
	Remove(name string) error
	// Rename replaces newname atomically.
	Rename(oldname, newname string) error
	// Mkdir makes one folder; one that exists is fs.ErrExist.
	Mkdir(name string) error
	// List gives the names in a folder, sorted.
	List(dir string) ([]string, error)
	// Stat describes a file or folder; it does not follow a final symbolic link.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the entries of a folder durable: creations, renames and removals so far.
	SyncDir(dir string) error
	// Usage is the space of the file system that holds the path.
	Usage(path string) (Usage, error)
	// Lock takes an exclusive advisory lock on the file, made when missing, and writes text into it. A file that
	// another holder has locked is a *LockedError with what that one wrote. The lock ends with Close, or the process.
	Lock(name, text string) (io.Closer, error)
}

// File is an open file. All methods are safe for concurrent use.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer

	// ReadDirect is ReadAt past the page cache (O_DIRECT): it gives what the device holds. off and the length of p are
	// multiples of DirectAlign, and p comes from Aligned. At the end of the file it gives fewer bytes and io.EOF.
	// errors.ErrUnsupported where the file system cannot.
	ReadDirect(p []byte, off int64) (int, error)

	// Sync makes the file's bytes durable and whatever is needed to read them back (fdatasync). After a failed Sync
	// nothing that was written since the last good one may be trusted, and Sync must not be tried again.
	Sync() error
	// Size is the file's length in bytes.
	Size() (int64, error)
	// Allocated is the number of bytes that the file occupies on the device. A file in many pieces also counts the
	// blocks in which the file system keeps the list of them.
	Allocated() (int64, error)
	// Truncate changes the length.
	Truncate(size int64) error
	// Preallocate reserves blocks for [off, off+n) and extends the file to off+n. The range reads as zeros and is a
	// hole to SeekData until it is written. syscall.ENOSPC when there is no room.
	Preallocate(off, n int64) error
	// Punch gives the blocks of [off, off+n) back; the range then reads as zeros and is a hole. The length stays.
	Punch(off, n int64) error
	// SeekData is the first offset at or after off that holds data, and SeekHole the first that does not (the end of
	// the file counts as a hole). SeekData with no data left, and either of them from the end or beyond, is io.EOF.
	// What was written is never a hole, but a reserved block that was only read may be data: the kernel counts a block
	// as data while a page of it is cached.
	SeekData(off int64) (int64, error)
	SeekHole(off int64) (int64, error)
	// Map maps the first n bytes of the file, shared and read-only. errors.ErrUnsupported where there is no mapping
	// (crashfs): callers then read instead.
	Map(n int64) (Mapping, error)
	// Cached says whether every page of [off, off+n) is in the page cache. errors.ErrUnsupported where the kernel
	// cannot tell.
	Cached(off, n int64) (bool, error)
}

// Mapping is a mapped file. Its bytes are never touched by Go code; they are handed to write(2) on a socket only.
type Mapping interface {
	// Bytes is the range [off, off+n) of the mapping, valid until Unmap.
	Bytes(off, n int64) []byte
	// Unmap ends the mapping. Using its bytes afterwards ends the process.
	Unmap() error
}

// Usage is the space of a file system, in bytes.
type Usage struct {
	Total int64 // size of the file system
	Free  int64 // what an unprivileged process may still write
	Used  int64 // total less what is free to anyone
}

// LockedError says that another process holds a lock.
type LockedError struct {
	Path  string
	Owner string // what the holder wrote when it took the lock
}

func (e *LockedError) Error() string {
	return "diskfs: " + e.Path + " is locked by " + e.Owner
}
