package migrate

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// source is a store that blobs are taken from. look and read may be called from several goroutines.
type source interface {
	// about says in words what the source is, and who serves it meanwhile, if anybody.
	about() (holds, servedBy string)
	// scan gives every blob to add. What is found bad on the way goes to bad.
	scan(ctx context.Context, add func(item) error) error
	// look says what a blob is called. The kind is that of the source, if it knows kinds.
	look(r ref) (blob.Hash, blob.Kind, error)
	// read reads a blob into buf, which has room for the largest.
	read(r ref, buf []byte) ([]byte, error)
	// place says where a blob is, for whoever is to look at it.
	place(r ref) Bad
	// free gives back what blobs take. Those that are gone already are no error.
	free(rs []ref) (int, error)
	// finish removes what was left empty, after all that could be was freed.
	finish() error
	close() error
}

// errGone: the blob is not there any more.
var errGone = errors.New("gone")

// badError says why a blob is bad.
type badError struct{ why string }

func (e *badError) Error() string { return e.why }

func badf(format string, args ...any) error { return &badError{fmt.Sprintf(format, args...)} }

// ofTheProcess says whether an error is about what the process has run out of, and says nothing of a blob.
func ofTheProcess(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// openSource opens what is in From.
func (m *Migration) openSource() (source, error) {
	layout, err := mount.Detect(m.o.FS, m.from)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	switch layout.Kind {
	case mount.LayoutSegments:
		return m.openSegments()
	case mount.LayoutSharded, mount.LayoutEmpty:
		return m.openFiles()
	case mount.LayoutForeign:
		if m.inside { // all blobs of an earlier run have left, and only the destination is there
			return m.openFiles()
		}
	}
	return nil, fmt.Errorf("migrate: %s holds %s: %w", m.o.From, layout, ErrPlaces)
}
