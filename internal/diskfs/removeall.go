package diskfs

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// RemoveAll removes a file, or a folder with all that is in it: what it can, and returns the first error. What is missing
// is no error.
func RemoveAll(fsys FS, name string) error {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var first error
	if info.IsDir() {
		names, err := fsys.List(name)
		first = err
		for _, n := range names {
			if err := RemoveAll(fsys, filepath.Join(name, n)); err != nil && first == nil {
				first = err
			}
		}
	}
	if err := fsys.Remove(name); err != nil && first == nil && !errors.Is(err, fs.ErrNotExist) {
		first = err
	}
	return first
}
