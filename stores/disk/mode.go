package disk

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// ErrLayout: the folder holds blobs in another layout than the settings say. Nothing was changed.
var ErrLayout = errors.New("the folder has another layout")

// Layout says which mode the settings and the folder mean, and with ModeSharded the length of the folders' names. It opens
// nothing. Errors: ErrLayout, mount.ErrNotAMount, or the system's.
func (o Options) Layout() (Mode, int, error) {
	on := o
	if on.FS == nil {
		on.FS = diskfs.OS()
	}
	return choose(on)
}

// choose says which mode the settings and the folder mean, with the length of the prefix for ModeSharded.
func choose(o Options) (Mode, int, error) {
	layout, err := mount.Detect(o.FS, o.MountPoint)
	if err != nil {
		return "", 0, err
	}
	mode := o.Mode
	if mode == ModeAuto {
		mode = guess(o, layout)
	}
	switch {
	case layout.Kind == mount.LayoutForeign:
		return "", 0, fmt.Errorf("%s holds %s: %w: choose an empty folder", o.MountPoint, layout, mount.ErrNotAMount)
	case layout.Kind == mount.LayoutSegments && mode == ModeSharded,
		layout.Kind == mount.LayoutSharded && mode == ModeSegments,
		layout.Kind == mount.LayoutSharded && !layout.HasPrefix(o.ShardingSize):
		return "", 0, refusal(o, mode, layout)
	}
	return mode, o.ShardingSize, nil
}

// guess is the mode where the settings do not name one.
func guess(o Options, layout mount.Layout) Mode {
	switch {
	case o.HasShardingSize, o.ShardingSize > 0:
		return ModeSharded
	case layout.Kind == mount.LayoutSharded && layout.HasPrefix(0):
		return ModeSharded
	case layout.Kind == mount.LayoutEmpty && hasFilesIndex(o):
		return ModeSharded // a flat store that holds no blob at present
	}
	return ModeSegments
}

// hasFilesIndex says whether the sharded mode has lived in the folder.
func hasFilesIndex(o Options) bool {
	info, err := o.FS.Stat(filepath.Join(o.MountPoint, hiddenDir, indexDir))
	return err == nil && info.IsDir()
}

// refusal says what the folder holds, what the settings want, and how to get from one to the other.
func refusal(o Options, mode Mode, layout mount.Layout) error {
	wants, flags := "segments", "--max-size SIZE"
	if mode == ModeSharded {
		flags += fmt.Sprintf(" --layout sharded --sharding-size %d", o.ShardingSize)
		wants = fmt.Sprintf("one file a blob with sharding_size %d", o.ShardingSize)
	}
	hint := ""
	if layout.Kind == mount.LayoutSharded {
		hint = fmt.Sprintf(" serve it as it is with sharding_size: %d, or", layout.Prefixes[0])
	}
	return fmt.Errorf("%s holds %s, and the settings want %s: %w:%s move its blobs to an empty folder with "+
		"`prism fsck migrate --from %s --to PATH %s` and make that the mount_point, or choose an empty folder",
		o.MountPoint, layout, wants, ErrLayout, hint, o.MountPoint, flags)
}
