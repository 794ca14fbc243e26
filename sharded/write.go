package sharded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Written is a blob that is in place and not durable yet. It holds the file open, because an error of writing back is
// reported to descriptors that were open when it happened. Either Dir.Sync or Close ends it.
type Written struct {
	hash blob.Hash
	file diskfs.File
}

// Hash names the blob.
func (w *Written) Hash() blob.Hash { return w.hash }

// Close gives up on making the blob durable.
func (w *Written) Close() error { return w.file.Close() }

// Write puts a blob in place, over whatever had its name. It is not durable: see Sync. On an error nothing changed.
func (d *Dir) Write(v blob.Verified) (*Written, error) {
	f, err := d.write(v, false)
	if err != nil {
		return nil, fmt.Errorf("sharded: write %s: %w", v.Hash().Short(), err)
	}
	return &Written{hash: v.Hash(), file: f}, nil
}

// WriteDurable puts a blob in place, over whatever had its name, and returns once no power cut can take it away. After
// an error the blob may be in place, and then is not durable; the bytes under its name are right or, as before, absent.
func (d *Dir) WriteDurable(v blob.Verified) error {
	f, err := d.write(v, true)
	if err == nil {
		err = errors.Join(d.syncFolder(d.folder(v.Hash())), f.Close())
	}
	if err != nil {
		return fmt.Errorf("sharded: write %s: %w", v.Hash().Short(), err)
	}
	return nil
}

// Sync makes blobs durable, their bytes first, then the names, each folder once, and closes them. The answer has an error
// for each of them, nil for those that are durable. What failed must not be trusted, and cannot be tried again.
func (d *Dir) Sync(ws []*Written) []error {
	errs := make([]error, len(ws))
	folders := make(map[string]error)
	for i, w := range ws {
		if errs[i] = w.file.Sync(); errs[i] == nil {
			folders[d.folder(w.hash)] = nil
		}
	}
	for dir := range folders {
		folders[dir] = d.syncFolder(dir)
	}
	for i, w := range ws {
		err := errors.Join(errs[i], folders[d.folder(w.hash)], w.file.Close())
		if err != nil {
			err = fmt.Errorf("sharded: sync %s: %w", w.hash.Short(), err)
		}
		errs[i] = err
	}
	return errs
}

// SyncOpen makes a blob durable that is in place and open: its bytes, then its name. After an error it must not be
// trusted beyond this boot.
func (d *Dir) SyncOpen(h blob.Hash, f diskfs.File) error {
	err := f.Sync()
	if err == nil {
		err = d.syncFolder(d.folder(h))
	}
	if err != nil {
		return fmt.Errorf("sharded: sync %s: %w", h.Short(), err)
	}
	return nil
}

// syncFolder makes the names in a blob's folder durable, and the folder itself.
func (d *Dir) syncFolder(dir string) error {
	if err := d.fsys.SyncDir(dir); err != nil {
		return err
	}
	return d.syncRoot()
}

// write makes a temporary file, syncs it if that is asked for, and renames it into place.
func (d *Dir) write(v blob.Verified, durable bool) (diskfs.File, error) {
	if v.Size() == 0 {
		return nil, blob.ErrEmpty
	}
	f, path, err := d.temp.create(d.fsys)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(v.Bytes(), 0)
	if err == nil && durable {
		err = f.Sync()
	}
	if err == nil {
		err = d.place(path, v.Hash())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), d.fsys.Remove(path))
	}
	return f, nil
}

// place renames a temporary file to the blob's name, and makes the folder when that is what was missing.
func (d *Dir) place(path string, h blob.Hash) error {
	err := d.fsys.Rename(path, d.Path(h))
	if d.prefix == 0 || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.makeFolder(d.folder(h)); err != nil {
		return err
	}
	return d.fsys.Rename(path, d.Path(h))
}

// tempNames gives out names in tmp/ that no other process has used.
type tempNames struct {
	dir  string
	mark string
	next *atomic.Uint64
}

func newTempNames(dir string) tempNames {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return tempNames{dir: dir, mark: tempMark + hex.EncodeToString(id[:]) + "-", next: new(atomic.Uint64)}
}

// create makes a new file in tmp/, and tmp/ when somebody has removed it.
func (t tempNames) create(fsys diskfs.FS) (diskfs.File, string, error) {
	path := filepath.Join(t.dir, fmt.Sprintf("%s%x", t.mark, t.next.Add(1)))
	f, err := fsys.Create(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = fsys.Mkdir(t.dir); err == nil || errors.Is(err, fs.ErrExist) {
			f, err = fsys.Create(path)
		}
	}
	return f, path, err
}

// CleanTemp removes from tmp/ what was left behind, as the package comment says, until ctx ends. What this Dir is writing
// stays. The number of files that it removed comes with the first error.
func (d *Dir) CleanTemp(ctx context.Context) (int, error) {
	removed := 0
	var first error
	err := diskfs.EachName(d.fsys, d.temp.dir, func(name string) error {
		path := filepath.Join(d.temp.dir, name)
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.isLeftover(path, name) {
			return nil
		}
		if err := d.fsys.Remove(path); err == nil {
			removed++
		} else if first == nil && !errors.Is(err, fs.ErrNotExist) {
			first = err
		}
		return nil
	})
	if err = errors.Join(err, first); err != nil {
		return removed, fmt.Errorf("sharded: clean %s: %w", d.temp.dir, err)
	}
	return removed, nil
}

func (d *Dir) isLeftover(path, name string) bool {
	info, err := d.fsys.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if strings.HasPrefix(name, tempMark) {
		return !strings.HasPrefix(name, d.temp.mark)
	}
	_, err = blob.ParseHash(name)
	return err == nil && time.Since(info.ModTime()) > staleTemp
}
