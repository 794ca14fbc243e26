package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// sealFile is there while a journal is closed and whole. It says what the rows must add up to: sequences only rise, and
// entries only go by being settled, so that rows of which the newest are lost, as of a log that was cut off, add up to
// something else. A mark among the rows could be lost with them, and an older one come to light.
const sealFile = "closed"

// seal is the text of the file.
func (j *Journal) seal(last uint64) string {
	return fmt.Sprintf("closed with %d entries, the last at %d\n", j.count.Load(), last)
}

// takeSeal says whether the seal is there and fits, and removes it, durably.
func (j *Journal) takeSeal() (fits bool, err error) {
	path := filepath.Join(j.dir, sealFile)
	f, err := j.fsys.Open(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	text := make([]byte, 256)
	n, err := f.ReadAt(text, 0)
	if cerr := f.Close(); cerr != nil || err != nil && err != io.EOF {
		return false, errors.Join(err, cerr)
	}
	if err := j.fsys.Remove(path); err != nil {
		return false, err
	}
	return string(text[:n]) == j.seal(j.last), j.fsys.SyncDir(j.dir)
}

// writeSeal writes the seal, durably.
func (j *Journal) writeSeal(last uint64) error {
	f, err := j.fsys.Create(filepath.Join(j.dir, sealFile))
	if err != nil {
		return err
	}
	if _, err = f.WriteAt([]byte(j.seal(last)), 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return j.fsys.SyncDir(j.dir)
}
