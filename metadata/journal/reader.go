package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// Reader looks into the journal of a store that is not open. It leaves the journal as it is, but that the rows replay
// their log: whether it is whole, its next Open finds out as if nobody had looked.
type Reader struct{ ix *index.Index }

// OpenReader opens the journal in a folder. Errors: fs.ErrNotExist where there is none, ErrLocked, index.ErrCorrupt,
// index.ErrNewerFormat, or the system's.
func OpenReader(fsys diskfs.FS, dir string, log *slog.Logger) (*Reader, error) {
	names, err := fsys.List(dir)
	if err == nil && len(names) == 0 {
		err = &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	var x *index.Index
	if err == nil {
		x, err = index.Open(index.Options{
			FS: pebblefs.New(fsys), Dir: dir, CacheBytes: cacheBytes, MemTableBytes: memTableBytes, Logger: log,
		})
	}
	switch {
	case errors.Is(err, index.ErrLocked):
		return nil, fmt.Errorf("%w: %s: stop it", ErrLocked, dir)
	case err != nil:
		return nil, fmt.Errorf("journal: read %s: %w", dir, err)
	}
	return &Reader{ix: x}, nil
}

// Changed says whether the catalogue is yet to be told that a blob came or went.
func (r *Reader) Changed(h blob.Hash) (bool, error) {
	e, err := r.ix.Get(h)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("journal: %w", err)
	}
	return News(e.Length)&Changed != 0, nil
}

// Close closes the journal.
func (r *Reader) Close() error { return r.ix.Close() }
