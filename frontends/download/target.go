package download

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// Errors of the file that is to be written.
var (
	// ErrExists: there is a file of that name already.
	ErrExists = errors.New("the file exists")
	// ErrInUse: another download writes the same file.
	ErrInUse = errors.New("another download of this stream is under way")
)

// maxName is the most bytes that a name may have on common file systems.
const maxName = 255

// localName makes the name that a stream suggests, which comes from strangers, fit for a file in a folder of ours: a
// plain name that shows as what it is, hides nothing, and is short enough.
func localName(suggested string) string {
	visible := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, suggested)
	name := stream.SafeName(strings.TrimLeft(stream.SafeName(visible), ". "))
	if len(name) <= maxName {
		return name
	}
	ext := filepath.Ext(name)
	if len(ext) > 32 {
		ext = ""
	}
	stem := name[:maxName-len(ext)]
	for !utf8.ValidString(stem) {
		stem = stem[:len(stem)-1]
	}
	return stem + ext
}

// targetOf is the path to write: output, or a file with the name that the stream suggests in the folder output, or in the
// working folder where output is empty.
func targetOf(output, suggested string, force bool) (string, error) {
	path := output
	if output == "" || strings.HasSuffix(output, "/") || isDir(output) {
		path = filepath.Join(output, localName(suggested))
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !isDir(filepath.Dir(path)) {
			return "", fmt.Errorf("%s is no folder to write to; make it first", filepath.Dir(path))
		}
		return path, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%w: %s is a folder; name a file", ErrExists, path)
	case !force:
		return "", fmt.Errorf("%w: %s; name another one with -o, or replace it with --force", ErrExists, path)
	}
	return path, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// part is the file that the stream is written to until it is whole, beside the target. What a broken-off download left
// there is taken up by the next one.
type part struct {
	*os.File
	kept int64 // bytes from the front that are the stream's
}

// openPart opens or makes the part of a stream.
func openPart(target string, sd blob.Hash) (*part, error) {
	path := filepath.Join(filepath.Dir(target), ".prism-"+sd.Short()+".part")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o666)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is in the way; remove it", path)
	}
	if err == nil {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: it writes %s", ErrInUse, path)
		}
	}
	if err == nil {
		// The one who had the lock may have given the file its name meanwhile.
		if now, e := os.Stat(path); e != nil || !os.SameFile(now, info) {
			err = fmt.Errorf("%w: it has just ended", ErrInUse)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &part{File: f}, nil
}

// keep finds how many blobs of the stream the part holds already: a piece counts when it encrypts to the blob. Only full
// pieces can be told, for the size of others is not known.
func (p *part) keep(d *stream.Descriptor, buf []byte) (blobs int, err error) {
	for blobs < len(d.Blobs) && d.Blobs[blobs].Length == blob.MaxSize {
		n, err := p.ReadAt(buf[:stream.PieceSize], p.kept)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if n < stream.PieceSize || !d.Holds(blobs, buf, n) {
			break
		}
		p.kept += int64(n)
		blobs++
	}
	if err := p.Truncate(p.kept); err != nil {
		return 0, err
	}
	_, err = p.Seek(p.kept, io.SeekStart)
	return blobs, err
}

// finish gives the whole file its name, durably.
func (p *part) finish(target string, force bool) error {
	if err := p.Sync(); err != nil {
		return err
	}
	if force {
		if err := os.Rename(p.Name(), target); err != nil {
			return err
		}
	} else if err := moveNew(p.Name(), target); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// moveNew renames a file to a name that nothing has.
func moveNew(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %s came up meanwhile; the whole stream is in %s", ErrExists, to, from)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s came up meanwhile; the whole stream is in %s", ErrExists, to, from)
	}
	return os.Rename(from, to) // a file system without links
}

// leave closes a part that is not whole, and removes it when nothing would be lost.
func (p *part) leave() (kept string) {
	defer p.Close()
	if info, err := p.Stat(); err == nil && info.Size() >= stream.PieceSize {
		return p.Name()
	}
	_ = os.Remove(p.Name())
	return ""
}
