package guardfs

import (
	"errors"
	"io/fs"
	"strings"
)

// Usage is the space that the files in a folder take, in bytes, each file rounded up to whole blocks.
type Usage struct {
	Total  int64
	Log    int64 // write-ahead logs, those that wait for reuse included
	Tables int64 // tables, those that wait for their removal included
}

// usageBlock is the unit in which files take space.
const usageBlock = 4096

// size is the length of a file that exists under at least one name.
type size struct {
	bytes int64
}

// Adopt counts the files that a folder holds already. A folder that is not there holds none.
func (g *FS) Adopt(dir string) error {
	names, err := g.List(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, n := range names {
		path := g.PathJoin(dir, n)
		info, err := g.Stat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			g.grow(g.newSize(path), info.Size())
		}
	}
	return nil
}

// Usage is what the files take that were adopted, or were made through this file system, and not removed since. It is
// computed in memory.
func (g *FS) Usage() Usage {
	g.mu.Lock()
	defer g.mu.Unlock()
	var u Usage
	for name, s := range g.sizes {
		n := (s.bytes + usageBlock - 1) &^ (usageBlock - 1)
		u.Total += n
		switch {
		case strings.HasSuffix(name, ".log"):
			u.Log += n
		case strings.HasSuffix(name, ".sst"):
			u.Tables += n
		}
	}
	return u
}

// newSize starts to count a new file.
func (g *FS) newSize(name string) *size {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &size{}
	g.sizes[name] = s
	return s
}

// oldSize is the count of a file that may exist.
func (g *FS) oldSize(name string) *size {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sizes[name]
	if s == nil {
		s = &size{}
		g.sizes[name] = s
	}
	return s
}

func (g *FS) grow(s *size, end int64) {
	if s == nil {
		return
	}
	g.mu.Lock()
	s.bytes = max(s.bytes, end)
	g.mu.Unlock()
}

func (g *FS) dropSize(name string) {
	g.mu.Lock()
	delete(g.sizes, name)
	g.mu.Unlock()
}

func (g *FS) moveSize(oldname, newname string) {
	g.linkSize(oldname, newname)
	g.dropSize(oldname)
}

func (g *FS) linkSize(oldname, newname string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.sizes[oldname]; s != nil {
		g.sizes[newname] = s
	}
}
