package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// LayoutKind is what a folder looks like from its names.
type LayoutKind uint8

// The kinds of layout.
const (
	// LayoutMissing: there is no such folder.
	LayoutMissing LayoutKind = iota
	// LayoutEmpty: a folder with nothing in it, but for lost+found, tmp and names that start with a dot.
	LayoutEmpty
	// LayoutSegments: a segment store, whole, half made or damaged.
	LayoutSegments
	// LayoutSharded: one file a blob, in folders of the first characters of the hash, or flat.
	LayoutSharded
	// LayoutForeign: something else.
	LayoutForeign
)

// Layout is what Detect found.
type Layout struct {
	Kind LayoutKind
	// Prefixes are, for LayoutSharded, the lengths of the folders' names that were seen, ascending; 0 stands for blob
	// files at the top (flat). It is nil for the other kinds.
	Prefixes []int
}

// String says in words what the folder holds, for messages.
func (l Layout) String() string {
	switch l.Kind {
	case LayoutMissing:
		return "nothing (it does not exist)"
	case LayoutEmpty:
		return "nothing"
	case LayoutSegments:
		return "a segment store"
	case LayoutSharded:
		var parts []string
		for _, n := range l.Prefixes {
			if n == 0 {
				parts = append(parts, "blob files at its top (sharding_size 0)")
			} else {
				parts = append(parts, fmt.Sprintf("blob files in folders of %d characters (sharding_size %d)", n, n))
			}
		}
		return strings.Join(parts, " and ")
	}
	return "files that are not of a blob store"
}

// HasPrefix says whether blobs in folders of n characters were seen; 0 asks for blobs at the top.
func (l Layout) HasPrefix(n int) bool { return slices.Contains(l.Prefixes, n) }

// detectNames bounds how many names Detect looks at, so that a flat folder of millions of files does not delay a start.
const detectNames = 10_000

var errEnough = errors.New("seen enough")

// Detect tells from the names in a folder what lives there. It changes nothing and takes no lock. A path that is not a
// folder is ErrNotAMount.
func Detect(fsys diskfs.FS, dir string) (Layout, error) {
	exists, err := folderExists(fsys, dir)
	if err != nil {
		return Layout{}, err
	}
	if !exists {
		return Layout{Kind: LayoutMissing}, nil
	}
	switch _, err := fsys.Stat(filepath.Join(dir, superblockName)); {
	case err == nil:
		return Layout{Kind: LayoutSegments}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return Layout{}, fmt.Errorf("mount: look at %s: %w", dir, err)
	}
	var names []string
	err = diskfs.EachName(fsys, dir, func(name string) error {
		if len(names) == detectNames {
			return errEnough
		}
		names = append(names, name)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return Layout{}, fmt.Errorf("mount: look at %s: %w", dir, err)
	}
	return classify(names), nil
}

// classify judges by names alone. Blob files or their folders make a folder sharded whatever else lies about, because
// caches in use have leftovers; our own names beside foreign ones do not make it ours.
func classify(names []string) Layout {
	var prefixes []int
	ours, foreign := 0, 0
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "."), name == "lost+found", name == "tmp":
		case name == superblockTemp, name == lockName, name == rebuildName, name == scrubName, name == scrubTemp, name == adminName,
			name == segmentsName, name == indexName, name == quarantineName:
			ours++
		case len(name) <= blob.HexSize && strings.Trim(name, "0123456789abcdef") == "":
			prefixes = append(prefixes, len(name)%blob.HexSize)
		default:
			foreign++
		}
	}
	slices.Sort(prefixes)
	switch {
	case len(prefixes) > 0:
		return Layout{Kind: LayoutSharded, Prefixes: slices.Compact(prefixes)}
	case foreign > 0:
		return Layout{Kind: LayoutForeign}
	case ours > 0:
		return Layout{Kind: LayoutSegments}
	}
	return Layout{Kind: LayoutEmpty}
}

// folderExists is false for what does not exist, and ErrNotAMount for what is not a folder. A symbolic link to a folder
// is one.
func folderExists(fsys diskfs.FS, dir string) (bool, error) {
	info, err := fsys.Stat(dir)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = fsys.Stat(dir + "/.") // which follows the link, where a bare name does not
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("mount: look at %s: %w", dir, err)
	case !info.IsDir():
		return false, fmt.Errorf("mount: %s is not a folder: %w", dir, ErrNotAMount)
	}
	return true, nil
}
