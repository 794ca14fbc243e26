package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/index/guardfs"
)

// The errors that callers branch on, with errors.Is.
var (
	// ErrCorrupt: what is on disk is not an index, or not a whole one. Nothing else is wrong with the disk as far as is
	// known; the folder can be moved away and the index rebuilt from segments.
	ErrCorrupt = errors.New("index is corrupt")
	// ErrNewerFormat: a later version of Prism wrote the index. It must be left alone.
	ErrNewerFormat = errors.New("index has a newer format: run the version of prism that wrote it")
	// ErrLocked: the index is open already, here or in another process.
	ErrLocked = errors.New("index is locked")
	// ErrNone: there is no index to be opened read-only: no folder, or no manifest in it that is marked as current.
	ErrNone = errors.New("there is no index")
	// ErrFailed: the index latched a failure and takes no more changes. The cause is wrapped; where it is ErrCorrupt, the
	// index would fail again after a restart and should be made anew.
	ErrFailed = errors.New("index failed")
	// ErrClosed: the index was closed.
	ErrClosed = errors.New("index is closed")
	// ErrInvalid: a batch was given what no row can hold. Nothing of it was written.
	ErrInvalid = errors.New("invalid index row")
)

// blames says whether an error of background work is about what the index's files hold, so that it would come again
// after a restart; others (no descriptors, no memory) are about the process.
func blames(err error) bool {
	return pebble.IsCorruptionError(err) || errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF)
}

// RowError says which row does not hold what a row must. It is ErrCorrupt.
type RowError struct {
	Key    []byte
	Reason string
}

func (e *RowError) Error() string { return fmt.Sprintf("row %x: %s", e.Key, e.Reason) }

// Is makes it ErrCorrupt.
func (e *RowError) Is(target error) bool { return target == ErrCorrupt }

// judgeOpen gives the error of an open that failed the sentinel that it deserves. Errors of the system are about the
// disk and stay as they are, but for a file that is missing: the disk is fine then, and the index is not whole.
func judgeOpen(err error) error {
	var errno syscall.Errno
	var write *guardfs.WriteError
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat), errors.Is(err, ErrLocked), errors.Is(err, ErrNone), errors.As(err, &write):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case errors.As(err, &errno), errors.Is(err, errors.ErrUnsupported):
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}
