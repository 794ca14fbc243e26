package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// OpenDamaged takes the lock of a mount whose superblock may be damaged, for its repair. It makes nothing. damage is why
// the superblock cannot be used, or nil; until Replace the mount then has none. Other errors are those of Open;
// ErrNotAMount where nothing was ever stored.
func OpenDamaged(fsys diskfs.FS, dir string) (m *Mount, damage, err error) {
	layout, err := Detect(fsys, dir)
	if err != nil {
		return nil, nil, err
	}
	if layout.Kind != LayoutSegments {
		return nil, nil, fmt.Errorf("mount: %s holds %s: %w", dir, layout, ErrNotAMount)
	}
	lock, err := TakeLock(fsys, dir, lockName)
	if err != nil {
		return nil, nil, err
	}
	m = &Mount{fsys: fsys, dir: dir, lock: lock}
	m.super, err = readSuperblock(fsys, filepath.Join(dir, superblockName))
	switch {
	case err == nil:
		return m, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		if err = m.mustBeFresh(); err == nil {
			err = fmt.Errorf("mount: %s holds the empty folders of a store that was never made: %w", dir, ErrNotAMount)
		}
	}
	if errors.Is(err, ErrDamaged) {
		return m, err, nil
	}
	return nil, nil, errors.Join(m.explain(err), m.lock.Close())
}

// MakeFolders makes those of the mount's folders that are missing, durably.
func (m *Mount) MakeFolders() error { return m.ensureFolders() }

// Replace writes a superblock in place of one that is damaged, which goes to quarantine.
func (m *Mount) Replace(s Superblock, why string) error {
	err := m.Quarantine(filepath.Join(m.dir, superblockName), why)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fill(&s); err != nil {
		return err
	}
	return m.Update(func(now *Superblock) { *now = s })
}

// SetAside keeps a copy of bytes in quarantine, with a line in its LOG. It is durable when SetAside returns nil.
func (m *Mount) SetAside(name string, p []byte, why string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path, err := m.freeName(name)
	if err == nil {
		err = m.writeTemp(path, p)
	}
	if err == nil {
		err = m.fsys.SyncDir(m.QuarantineDir())
	}
	if err == nil {
		err = m.appendLog(logLine(path, name, why))
	}
	if err != nil {
		return fmt.Errorf("mount: set %s aside: %w", name, err)
	}
	return nil
}
