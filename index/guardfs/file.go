package guardfs

import "github.com/cockroachdb/pebble/v2/vfs"

// file is an open file or folder.
type file struct {
	g     *FS
	inner vfs.File
	name  string
	size  *size // of a file that is written to; nil for others
	off   int64 // where the next Write begins
}

// track registers an open file, so that Sever can close it.
func (g *FS) track(inner vfs.File, name string, s *size) vfs.File {
	f := &file{g: g, inner: inner, name: name, size: s}
	g.mu.Lock()
	late := g.released
	if !late {
		g.files[f] = struct{}{}
	}
	g.mu.Unlock()
	if late {
		_ = inner.Close() // severed while it was being opened; every use of it parks
	}
	return f
}

// Close never parks: it changes nothing that was synced. The error of a file that was written may be about bytes that
// were lost, though, and is a failure.
func (f *file) Close() error {
	f.g.mu.Lock()
	_, open := f.g.files[f]
	delete(f.g.files, f)
	f.g.mu.Unlock()
	if !open {
		return nil // Sever closed it
	}
	err := f.inner.Close()
	if err == nil || f.size == nil {
		f.g.count(err)
		return err
	}
	f.g.enter(writing)
	return f.g.leave(writing, "close", f.name, err)
}

func (f *file) Write(p []byte) (int, error) {
	f.g.enter(writing)
	n, err := f.inner.Write(p)
	f.off += int64(n)
	f.g.grow(f.size, f.off)
	return n, f.g.leave(writing, "write", f.name, err)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.g.enter(writing)
	n, err := f.inner.WriteAt(p, off)
	f.g.grow(f.size, off+int64(n))
	return n, f.g.leave(writing, "write", f.name, err)
}

func (f *file) Sync() error {
	f.g.enter(writing)
	return f.g.leave(writing, "sync", f.name, f.inner.Sync())
}

func (f *file) SyncData() error {
	f.g.enter(writing)
	return f.g.leave(writing, "sync", f.name, f.inner.SyncData())
}

func (f *file) SyncTo(length int64) (bool, error) {
	f.g.enter(writing)
	full, err := f.inner.SyncTo(length)
	return full, f.g.leave(writing, "sync", f.name, err)
}

// Preallocate does nothing, which vfs allows: Pebble asks for a whole memtable's worth for every log, of which a small
// part is written.
func (f *file) Preallocate(int64, int64) error { return nil }

func (f *file) Read(p []byte) (int, error) {
	f.g.enter(reading)
	n, err := f.inner.Read(p)
	return n, f.g.leave(reading, "read", f.name, err)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.g.enter(reading)
	n, err := f.inner.ReadAt(p, off)
	return n, f.g.leave(reading, "read", f.name, err)
}

func (f *file) Stat() (vfs.FileInfo, error) {
	f.g.enter(reading)
	info, err := f.inner.Stat()
	return info, f.g.leave(reading, "stat", f.name, err)
}

func (f *file) Prefetch(off, length int64) error {
	f.g.enter(reading)
	return f.g.leave(reading, "prefetch", f.name, f.inner.Prefetch(off, length))
}

func (f *file) Fd() uintptr { return f.inner.Fd() }

var _ vfs.File = (*file)(nil)
