package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/progress"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// PackOptions say what to make a stream of.
type PackOptions struct {
	File  string          // the file
	Dir   string          // the folder for its blobs, which is made where it is missing
	Name  string          // of the file in the stream; empty: its own
	Meter *progress.Meter // is told of each blob; nil: none
}

// PackResult is the stream that was made.
type PackResult struct {
	SD    blob.Hash // names the stream
	Blobs int       // content blobs; the SD blob is one more
	Size  int64     // bytes of the file
}

// Pack makes the blobs of a stream of a file, as files named by their hashes, in the form that Upload takes. They are on
// the disk when it returns; on an error, what it had written is removed. Memory is bounded whatever the size of the
// file. Errors: stream.ErrEmptyFile, ErrTooLong, ErrName; those of the file system.
func Pack(ctx context.Context, o PackOptions) (res PackResult, err error) {
	f, err := openFile(o.File)
	if err != nil {
		return res, err
	}
	defer f.Close()
	if res.Size, err = sizeToPack(f); err != nil {
		return res, err
	}
	if o.Name == "" {
		o.Name = filepath.Base(o.File)
	} else if strings.ContainsRune(o.Name, '/') {
		return res, fmt.Errorf("the name %q is a path; give the name alone", o.Name)
	}
	if err := os.MkdirAll(o.Dir, 0o777); err != nil {
		return res, err
	}
	meter := progress.OrSilent(o.Meter)
	meter.Find((res.Size+stream.PieceSize-1)/stream.PieceSize + 1)
	meter.Found()
	w := &folder{path: o.Dir}
	read := &counted{r: f}
	sd, d, err := stream.Pack(read, stream.PackOptions{Name: o.Name, Keep: func(p stream.Packed) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		meter.Add(1, int64(len(p.Data)))
		return w.write(p.Hash.String(), p.Data)
	}})
	if err == nil && read.n != res.Size {
		err = fmt.Errorf("%s had %d bytes and gave %d: it changed while it was read; try again when nothing writes to it", o.File, res.Size, read.n)
	}
	if err == nil {
		err = w.sync()
	}
	if errors.Is(err, stream.ErrName) {
		err = fmt.Errorf("%w; give one with --name", err)
	}
	if err != nil {
		return PackResult{}, errors.Join(err, w.undo())
	}
	res.SD, res.Blobs = sd, len(d.Blobs)
	return res, nil
}

// sizeToPack is the size of a file that can be a stream.
func sizeToPack(f *os.File) (int64, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return 0, err
	case info.Size() == 0:
		return 0, fmt.Errorf("%s: %w", f.Name(), stream.ErrEmptyFile)
	case info.Size() > stream.MaxFile:
		return 0, fmt.Errorf("%s: %w: it has %s, and a stream holds at most %s; cut it", f.Name(), stream.ErrTooLong,
			progress.Bytes(info.Size()), progress.Bytes(stream.MaxFile))
	}
	return info.Size(), nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// folder is where files are made, each whole or not at all.
type folder struct {
	path string
	made []string
}

func (d *folder) write(name string, data []byte) (err error) {
	f, err := os.CreateTemp(d.path, ".prism-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	path := filepath.Join(d.path, name)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d.made = append(d.made, path)
	return nil
}

// sync has the names of the files on the disk.
func (d *folder) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// undo removes what was made.
func (d *folder) undo() error {
	var errs []error
	for _, path := range d.made {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
