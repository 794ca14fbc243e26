package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Quarantine moves a file or folder of the mount into QuarantineDir, under a name that nothing there has, and notes when,
// what and why in a line of its LOG. The caller must be done with the path; open files stay good. The move is durable
// when Quarantine returns nil. With an error the move may have happened or not.
func (m *Mount) Quarantine(path, why string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	target, err := m.freeName(filepath.Base(path))
	if err == nil {
		err = m.fsys.Rename(path, target)
	}
	if err == nil {
		err = m.fsys.SyncDir(m.QuarantineDir())
	}
	if err == nil {
		err = m.fsys.SyncDir(filepath.Dir(path))
	}
	if err == nil {
		err = m.appendLog(logLine(target, path, why))
	}
	if err != nil {
		return fmt.Errorf("mount: quarantine %s: %w", path, err)
	}
	return nil
}

func logLine(target, from, why string) string {
	return fmt.Sprintf("%s %s from %q: %q\n", time.Now().UTC().Format(time.RFC3339), filepath.Base(target), from, why)
}

// freeName finds a path in the quarantine that does not exist yet.
func (m *Mount) freeName(base string) (string, error) {
	for n := 1; ; n++ {
		path := filepath.Join(m.QuarantineDir(), fmt.Sprintf("%s.%d", base, n))
		if _, err := m.fsys.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
	}
}

// appendLog adds a line to the quarantine's LOG.
func (m *Mount) appendLog(line string) error {
	path := filepath.Join(m.QuarantineDir(), quarantineLog)
	f, err := m.fsys.Open(path, true)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = m.fsys.Create(path)
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		_, err = f.WriteAt([]byte(line), size)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
