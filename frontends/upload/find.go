package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
)

// file is a file that is named as a blob.
type file struct {
	dir  string
	hash blob.Hash
}

func (f file) path() string { return filepath.Join(f.dir, f.hash.String()) }

// listed is how many names of a folder are read at once.
const listed = 1000

// maxDepth is how many folders may lie in each other.
const maxDepth = 100

var errFolderLink = errors.New("a link to a folder is not followed; upload that folder itself")

// find calls fn for each file below the path that is named as a blob, and names those that are not. Only its own path
// may fail; what else cannot be read is a failure of its own.
func (u *uploader) find(ctx context.Context, fn func(file) error) error {
	info, err := os.Stat(u.Path)
	if err != nil {
		return fmt.Errorf("nothing to upload: %w", err)
	}
	if info.IsDir() {
		dir, err := os.Open(u.Path)
		if err != nil {
			return fmt.Errorf("nothing to upload: %w", err)
		}
		return u.findIn(ctx, dir, 1, fn)
	}
	return u.found(ctx, filepath.Dir(u.Path), fs.FileInfoToDirEntry(renamed{info, filepath.Base(u.Path)}), 0, fn)
}

// renamed is what a path leads to under the path's own name.
type renamed struct {
	fs.FileInfo
	name string
}

func (r renamed) Name() string { return r.name }

// findIn reads an open folder in pieces, and closes it.
func (u *uploader) findIn(ctx context.Context, dir *os.File, depth int, fn func(file) error) error {
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(listed)
		for _, e := range entries {
			if err := u.found(ctx, dir.Name(), e, depth, fn); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			u.missed(dir.Name(), err)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// found looks at one entry of a folder.
func (u *uploader) found(ctx context.Context, dir string, e fs.DirEntry, depth int, fn func(file) error) error {
	path := filepath.Join(dir, e.Name())
	h, err := blob.ParseHash(e.Name())
	switch {
	case strings.HasPrefix(e.Name(), ".") && depth > 0:
		u.count(func(s *Summary) { s.Hidden++ })
		return nil
	case e.IsDir() && depth >= maxDepth:
		u.missed(path, fmt.Errorf("more than %d folders in each other", maxDepth))
		return nil
	case e.IsDir():
		// A folder that is put in the place of a link meanwhile is not followed either.
		sub, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			u.missed(path, plain(err))
			return nil
		}
		return u.findIn(ctx, sub, depth+1, fn)
	case err != nil:
		u.missed(path, fmt.Errorf("its name is not that of a blob (%w); rename it or move it away", err))
		return nil
	case e.Type()&^fs.ModeSymlink != 0:
		u.missed(path, errNotRegular)
		return nil
	}
	u.Meter.Find(1)
	return fn(file{dir, h})
}

// missed names something that is no blob.
func (u *uploader) missed(path string, err error) {
	u.Meter.Find(1)
	u.fail(path, err)
}

var (
	errNotRegular = errors.New("it is not a regular file")
	errVanished   = errors.New("it vanished before it was read")
)

// openFile opens a regular file, and waits for nobody at the other end of what is none.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ENXIO) { // a socket
			return nil, fmt.Errorf("%s: %w", path, errNotRegular)
		}
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s: it is a folder", path)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s: %w", path, errNotRegular)
	default:
		return f, nil
	}
	return nil, errors.Join(err, f.Close())
}

// plain is an error of a file without its path, which whoever reports it says already.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
