package mount

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// aside is one thing in quarantine.
type aside struct {
	name  string
	bytes int64
	line  int // of its last mention in the LOG; things without one count as the oldest
}

// QuarantineBytes is what lies in quarantine, as it occupies the disk. It touches nothing but names and their sizes.
func (m *Mount) QuarantineBytes() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, err := m.asides()
	return total(all), err
}

// TrimQuarantine deletes the oldest things in quarantine until the rest occupies no more than limit bytes, and returns
// what is left. The LOG stays, and keeps their lines.
func (m *Mount) TrimQuarantine(limit int64) (left int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, err := m.asides()
	if left = total(all); err != nil || left <= limit {
		return left, err
	}
	m.readLog(all)
	slices.SortStableFunc(all, func(a, b aside) int { return cmp.Compare(a.line, b.line) })
	for _, a := range all {
		if left <= limit {
			break
		}
		if a.name == quarantineLog {
			continue
		}
		if err := m.removeAll(filepath.Join(m.QuarantineDir(), a.name)); err != nil {
			return left, fmt.Errorf("mount: trim the quarantine: %w", err)
		}
		left -= a.bytes
	}
	return left, m.fsys.SyncDir(m.QuarantineDir())
}

func total(all []aside) (n int64) {
	for _, a := range all {
		n += a.bytes
	}
	return n
}

// asides lists what is in quarantine.
func (m *Mount) asides() ([]aside, error) {
	names, err := m.fsys.List(m.QuarantineDir())
	if err != nil {
		return nil, fmt.Errorf("mount: look at the quarantine: %w", err)
	}
	var all []aside
	for _, name := range names {
		n, err := m.occupied(filepath.Join(m.QuarantineDir(), name))
		if err != nil {
			return all, fmt.Errorf("mount: look at the quarantine: %w", err)
		}
		all = append(all, aside{name: name, bytes: n})
	}
	return all, nil
}

// occupied is what a file or folder takes on disk; its length where the file system does not say.
func (m *Mount) occupied(path string) (int64, error) {
	info, err := m.fsys.Stat(path)
	if err != nil {
		return 0, err
	}
	n := info.Size()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		n = st.Blocks * 512
	}
	if !info.IsDir() {
		return n, nil
	}
	names, err := m.fsys.List(path)
	for _, name := range names {
		k, serr := m.occupied(filepath.Join(path, name))
		n += k
		err = errors.Join(err, serr)
	}
	return n, err
}

// readLog finds when each thing was put aside: the number of the line that names it last.
func (m *Mount) readLog(all []aside) {
	f, err := m.fsys.Open(filepath.Join(m.QuarantineDir(), quarantineLog), false)
	if err != nil {
		return
	}
	defer f.Close()
	lines := map[string]int{}
	size, _ := f.Size() // of a log that cannot be read no line is known
	in := bufio.NewScanner(io.NewSectionReader(f, 0, size))
	for n := 1; in.Scan(); n++ {
		if fields := strings.Fields(in.Text()); len(fields) > 1 {
			lines[fields[1]] = n
		}
	}
	for i := range all {
		all[i].line = lines[all[i].name]
	}
}

// removeAll removes a file, or a folder with what is in it.
func (m *Mount) removeAll(path string) error {
	info, err := m.fsys.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		names, err := m.fsys.List(path)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := m.removeAll(filepath.Join(path, name)); err != nil {
				return err
			}
		}
	}
	if err := m.fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
