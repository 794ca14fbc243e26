package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/OdyseeTeam/prism/metadata"
)

// format is the version of the format that is written, and the newest that is read.
const format = 1

// lockPatience is how long Open waits for another process to let go of the file, as one does that is just ending.
const lockPatience = time.Second

// Catalogue is a catalogue in a file.
type Catalogue struct {
	opts  Options
	db    *bbolt.DB
	queue chan *write
	stuck bool          // of the goroutine that commits: the lock of writers is lost
	ended chan struct{} // closed when that goroutine has ended
	calls metadata.Calls
}

var _ metadata.Catalogue = (*Catalogue)(nil)

// Open opens the catalogue in a file, or makes a new one. What cannot be opened is left as it is. Errors:
// metadata.ErrOptions, metadata.ErrSchema for a file of a newer version or none of ours, metadata.ErrReadOnly,
// metadata.ErrDenied, and metadata.ErrUnavailable for all else, such as another process that has it open.
func Open(o Options) (*Catalogue, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	db, err := openFile(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the catalogue %s: %w", o.Path, err)
	}
	c := &Catalogue{opts: o, db: db, queue: make(chan *write), ended: make(chan struct{})}
	go c.commitAll()
	return c, nil
}

// openFile opens the file, after making it where it is missing, and looks whether it is one of ours.
func openFile(path string) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, explain(err)
	case info.IsDir():
		return nil, fmt.Errorf("%w: it is a folder: name a file", metadata.ErrUnavailable)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: it is no regular file: name another", metadata.ErrUnavailable)
	case info.Mode().Perm()&0o222 == 0: // which does not stop root
		return nil, fmt.Errorf("%w: nobody may write to the file: chmod u+w it, if it is to be used", metadata.ErrReadOnly)
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	if err := recovered(func() error { return db.View(inspect) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openBolt opens a file. A damaged one may have bbolt panic half-way, so what it opened by then is closed here.
func openBolt(path string) (*bbolt.DB, error) {
	var db *bbolt.DB
	var file *os.File
	err := recovered(func() error {
		var err error
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      lockPatience,
			FreelistType: bbolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err == nil {
		return db, nil
	}
	if file != nil {
		_ = file.Close() // for the second time, where bbolt did
	}
	return nil, explain(err)
}

// inspect is nil for a whole catalogue of a version that is known.
func inspect(t *bbolt.Tx) error {
	info, err := os.Stat(t.DB().Path())
	if err != nil {
		return explain(err)
	}
	if info.Size() < t.Size() {
		return fmt.Errorf("%w: of its %d bytes %d are left: %s", metadata.ErrUnavailable, t.Size(), info.Size(), mend)
	}
	meta := t.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w: it is a file of another program: name another file", metadata.ErrSchema)
	}
	version := meta.Get(keyFormat)
	if len(version) != 8 {
		return fmt.Errorf("%w: it has no version: %s", metadata.ErrSchema, mend)
	}
	if v := binary.BigEndian.Uint64(version); v != format {
		return fmt.Errorf("%w: it has version %d and this program knows %d: install the version of prism that wrote it",
			metadata.ErrSchema, v, format)
	}
	for _, name := range buckets {
		if t.Bucket(name) == nil {
			return fmt.Errorf("%w: the bucket %s is missing: %s", metadata.ErrSchema, name, mend)
		}
	}
	return nil
}

// mend is what to do about a file that is damaged.
const mend = "it is damaged: restore it from a copy, or move it away, and a new one is made"

// create makes a new catalogue under another name and then gives it its own, so that there never is half of one. When
// another process was quicker, its file stays.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: neither its folder nor the one above exists: make it: %w", metadata.ErrUnavailable, err)
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return explain(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := f.Close(); err != nil {
		return explain(err)
	}
	db, err := openBolt(f.Name())
	if err != nil {
		return err
	}
	err = db.Update(func(t *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := t.CreateBucket(name); err != nil {
				return err
			}
		}
		return t.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint64(nil, format))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return explain(err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(f.Name(), path); err != nil { // some file systems have no links
			return explain(err)
		}
	}
	return explain(syncFolder(dir))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close waits for calls under way and closes the file.
func (c *Catalogue) Close() error {
	if c.calls.Close() {
		<-c.ended
		return nil
	}
	close(c.queue)
	<-c.ended
	if c.stuck { // it would wait for the lock; the file is closed with the process
		return fmt.Errorf("close the catalogue %s: %w", c.opts.Path, errStuck)
	}
	if err := c.db.Close(); err != nil {
		return fmt.Errorf("close the catalogue %s: %w", c.opts.Path, err)
	}
	return nil
}

// recovered runs what reads pages. bbolt maps the file and trusts it: a damaged page is a panic, and one that the disk
// does not give a fault. Both become errors.
func recovered(run func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v: %s", metadata.ErrUnavailable, p, mend)
		}
	}()
	return run()
}

// explain wraps an error of the system or of bbolt with what it means.
func explain(err error) error {
	switch {
	case err == nil,
		errors.Is(err, metadata.ErrUnavailable), errors.Is(err, metadata.ErrSchema):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: another process has it open: stop that one, or name another file", metadata.ErrUnavailable)
	case errors.Is(err, bolterrors.ErrInvalid):
		return fmt.Errorf("%w: it is no catalogue: name another file; or %s: %w", metadata.ErrSchema, mend, err)
	case errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w: %s", metadata.ErrUnavailable, err, mend)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", metadata.ErrDenied, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w: name a file elsewhere, or mount it for writing", metadata.ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: the disk is full: make room: %w", metadata.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", metadata.ErrUnavailable, err)
}
