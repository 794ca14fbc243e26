package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// maxSocketPath is more than any socket's path may have.
const maxSocketPath = 4096

// WriteAdmin notes in the mount at dir, which this process owns, the path of the socket on which it answers.
func WriteAdmin(fsys diskfs.FS, dir, socket string) error {
	if err := RemoveAdmin(fsys, dir); err != nil {
		return err
	}
	f, err := fsys.Create(filepath.Join(dir, adminName))
	if err == nil {
		_, err = f.WriteAt([]byte(socket+"\n"), 0)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("mount: note the socket in %s: %w%s", dir, err, Hint(err))
	}
	return nil
}

// ReadAdmin is the path that WriteAdmin noted; false when there is none. Whether anybody answers there is not known.
func ReadAdmin(fsys diskfs.FS, dir string) (socket string, known bool) {
	f, err := fsys.Open(filepath.Join(dir, adminName), false)
	if err != nil {
		return "", false
	}
	defer f.Close()
	b := make([]byte, maxSocketPath)
	n, err := f.ReadAt(b, 0)
	if err != io.EOF { // it is shorter
		return "", false
	}
	socket, whole := strings.CutSuffix(string(b[:n]), "\n")
	return socket, whole && socket != "" && !strings.ContainsAny(socket, "\n\x00")
}

// RemoveAdmin ends what WriteAdmin noted.
func RemoveAdmin(fsys diskfs.FS, dir string) error {
	err := fsys.Remove(filepath.Join(dir, adminName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mount: take the note of the socket out of %s: %w%s", dir, err, Hint(err))
	}
	return nil
}
