package syncdb

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores/all"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// Errors that say that nothing could be compared. Each is wrapped in an error that tells a person what to do.
var (
	// ErrConfig: the configuration is wrong.
	ErrConfig = errors.New("wrong configuration")
	// ErrNoCatalogue: the configuration has no catalogue of that disk, or more than one.
	ErrNoCatalogue = errors.New("there is nothing to compare")
)

// target is a disk and its catalogue, of a configuration.
type target struct {
	all.Catalogued
	deletes bool // blocked blobs are to go from the disk
}

// find finds the catalogue of the disk at path.
func find(path, file string) (*target, error) {
	r := &yamlnode.Report{}
	c := config.LoadFile(file, r)
	var tree *compose.Tree
	if c != nil && c.Store != nil {
		tree = compose.Check(all.Kinds(), c.Store, r)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w\n%w", ErrConfig, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: is its disk mounted?", err)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no folder: name the mount_point of a disk", path)
	}
	is := func(mountPoint string) bool {
		other, err := os.Stat(mountPoint)
		return err == nil && os.SameFile(info, other)
	}
	var found []all.Catalogued
	catalogues := all.CataloguesOf(tree)
	for _, x := range catalogues {
		if x.Disk != nil && is(x.Disk.MountPoint) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %s", ErrNoCatalogue, whyNone(path, file, is, tree, catalogues))
	case 1:
		return &target{found[0], c.Lists.Blocklist.Enabled && c.Lists.Blocklist.Delete}, nil
	}
	return nil, fmt.Errorf("%w: %s has several catalogues of %s, in lines %s: nobody can say which is right; keep one",
		ErrNoCatalogue, file, path, lines(found))
}

// whyNone says why no catalogue is that of a disk.
func whyNone(path, file string, is func(string) bool, tree *compose.Tree, catalogues []all.Catalogued) string {
	disks := all.DisksOf(tree.Root)
	if !slices.ContainsFunc(disks, is) {
		has := "it has no disk at all"
		if len(disks) > 0 {
			has = "its disks are " + strings.Join(disks, ", ")
		}
		for _, c := range catalogues {
			if len(all.DisksOf(c.Part)) == 0 {
				has += fmt.Sprintf("; the db_backed in line %s is over %s, of which sync-db makes no list: it compares disks of this machine",
					lines([]all.Catalogued{c}), c.Part.Children[0].Kind)
			}
		}
		return fmt.Sprintf("no disk in %s has the mount_point %s: %s", file, path, has)
	}
	for _, c := range catalogues {
		if slices.ContainsFunc(all.DisksOf(c.Part), is) {
			return fmt.Sprintf("the catalogue of the db_backed in line %s is that of all that its %s has, of which the disk %s is a part: "+
				"rows of blobs that are elsewhere would seem wrong", lines([]all.Catalogued{c}), c.Part.Children[0].Kind, path)
		}
	}
	return fmt.Sprintf("the disk %s has no db_backed over it in %s, and so no catalogue", path, file)
}

func lines(list []all.Catalogued) string {
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprint(c.Part.At.Position().Line))
	}
	return strings.Join(out, ", ")
}
