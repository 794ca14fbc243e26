package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/OdyseeTeam/prism/segments/mount"
)

// settle finds out what From and To really are, and refuses what cannot work, before anything is changed.
func (m *Migration) settle() error {
	from, err := filepath.EvalSymlinks(m.o.From)
	if err != nil {
		return fmt.Errorf("migrate: %s: %w", m.o.From, err)
	}
	to, err := filepath.EvalSymlinks(m.o.To)
	if errors.Is(err, fs.ErrNotExist) {
		var parent string
		if parent, err = filepath.EvalSymlinks(filepath.Dir(filepath.Clean(m.o.To))); err == nil {
			to = filepath.Join(parent, filepath.Base(m.o.To))
		}
	}
	if err != nil {
		return fmt.Errorf("migrate: %s: %w: mount the disk, or make the folder", m.o.To, err)
	}
	if m.from, err = filepath.Abs(from); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if m.to, err = filepath.Abs(to); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := m.settleNesting(); err != nil {
		return err
	}
	m.sameDisk = m.deviceOf(m.from) == m.deviceOf(filepath.Dir(m.to)) && m.deviceOf(m.from) != 0
	if there := m.deviceOf(m.to); there != 0 { // it may be a mount point
		m.sameDisk = there == m.deviceOf(m.from)
	}
	return m.settleDestination()
}

// settleNesting refuses folders that lie in each other in a way that a walk or a program would stumble over.
func (m *Migration) settleNesting() error {
	refuse := func(why string, args ...any) error {
		return fmt.Errorf("migrate: %s → %s: %s: %w", m.o.From, m.o.To, fmt.Sprintf(why, args...), ErrPlaces)
	}
	if m.from == m.to {
		return refuse("a store is not turned into another within one folder; name a folder inside of it, as %s, and make that "+
			"the mount_point afterwards", filepath.Join(m.o.From, "store"))
	}
	if within(m.to, m.from) {
		return refuse("the source lies inside of the destination, whose store would find foreign files; name a folder beside or inside of the source")
	}
	if !within(m.from, m.to) {
		return nil
	}
	m.inside = true
	rel, _ := filepath.Rel(m.from, m.to)
	first, _, _ := strings.Cut(rel, string(filepath.Separator))
	if isHex(first) || slices.Contains([]string{"tmp", ".prism", "lost+found", "segments", "index", "quarantine", "lock", "superblock"}, first) {
		return refuse("%q is, or could be, a part of the source; choose another name inside of it, as %s", first, filepath.Join(m.o.From, "store"))
	}
	return nil
}

// within says whether inner lies somewhere below outer.
func within(outer, inner string) bool {
	rel, err := filepath.Rel(outer, inner)
	return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// settleDestination refuses a destination that holds something else. One of an earlier run is gone on with.
func (m *Migration) settleDestination() error {
	l, err := mount.Detect(m.o.FS, m.to)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	fits := l.Kind == mount.LayoutMissing || l.Kind == mount.LayoutEmpty ||
		l.Kind == mount.LayoutSegments && m.o.Layout == Segments ||
		l.Kind == mount.LayoutSharded && m.o.Layout == Sharded && l.HasPrefix(m.o.ShardingSize)
	if !fits {
		return fmt.Errorf("migrate: %s holds %s, and is to have %s: %w; choose an empty folder, or the one of an earlier run",
			m.o.To, l, m.wanted(), ErrPlaces)
	}
	return nil
}

func (m *Migration) wanted() string {
	if m.o.Layout == Segments {
		return "segments"
	}
	return fmt.Sprintf("one file a blob with sharding_size %d", m.o.ShardingSize)
}

// deviceOf tells file systems apart; 0 is one that cannot be told.
func (m *Migration) deviceOf(path string) uint64 {
	info, err := m.o.FS.Stat(path)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev
	}
	return 0
}
