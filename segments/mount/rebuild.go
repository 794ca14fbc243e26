package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// maxReason bounds how much of the request's text is kept and read, in bytes.
const maxReason = 1024

// RequestRebuild notes, durably, that the index is damaged. It lies outside of the index, which may not take a write any
// more. A second request changes nothing. After an error the request may be there or not.
func (m *Mount) RequestRebuild(why string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Join(m.dir, rebuildName)
	f, err := m.fsys.Create(path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		// The name alone is the request: a full disk may take it and not the text.
		_, werr := f.WriteAt([]byte(why[:min(len(why), maxReason)]), 0)
		if werr == nil {
			_ = f.Sync()
		}
		_ = f.Close()
		err = m.fsys.SyncDir(m.dir)
	}
	if err != nil {
		return fmt.Errorf("mount: ask for a new index: %w", err)
	}
	return nil
}

// RebuildRequested says whether the index is to be made anew, and why.
func (m *Mount) RebuildRequested() (why string, yes bool, err error) {
	f, err := m.fsys.Open(filepath.Join(m.dir, rebuildName), false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("mount: is a new index asked for: %w", err)
	}
	defer f.Close()
	b := make([]byte, maxReason)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return "a reason that cannot be read", true, nil
	}
	return string(b[:n]), true, nil
}

// RenewIndex moves the index to quarantine and makes an empty folder in its place, after which nobody asks for a new one
// any more. All of it is durable, in this order: a power cut in between leaves the request, or an empty index.
func (m *Mount) RenewIndex(why string) error {
	if err := m.Quarantine(m.IndexDir(), why); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.fsys.Mkdir(m.IndexDir())
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err == nil {
		err = m.fsys.SyncDir(m.dir)
	}
	if err == nil {
		err = m.fsys.Remove(filepath.Join(m.dir, rebuildName))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err == nil:
		err = m.fsys.SyncDir(m.dir)
	}
	if err != nil {
		return fmt.Errorf("mount: make a new index: %w", err)
	}
	return nil
}
