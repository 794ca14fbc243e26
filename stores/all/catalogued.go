package all

import (
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// Catalogued is a db_backed of a configuration. Nothing of it is open.
type Catalogued struct {
	Part *compose.Part
	// Disk is the disk of which the catalogue says what it has, with the bounds of the stores above it; nil where the
	// catalogue is of something else, or of more than one disk.
	Disk *disk.Options
	// Journal is the folder of the journal of what the catalogue is yet to be told. Not every db_backed has one.
	Journal      string
	DeleteOnMiss bool
	SoftDeletes  bool

	spec *dbBackedSpec
}

// CataloguesOf finds every db_backed of a tree, parents before their children.
func CataloguesOf(t *compose.Tree) []Catalogued {
	var found []Catalogued
	t.Walk(func(p *compose.Part, _ int) {
		s, ok := p.Spec().(*dbBackedSpec)
		if !ok {
			return
		}
		c := Catalogued{Part: p, Journal: s.Journal, DeleteOnMiss: s.DeleteOnMiss, SoftDeletes: s.soft, spec: s}
		if d := diskUnder(s.child); d != nil {
			o := d.Options
			c.Disk = &o
			if c.Journal == "" {
				c.Journal = disk.Beside(o.MountPoint, dbbacked.JournalFolder)
			}
		}
		found = append(found, c)
	})
	return found
}

// diskUnder is the disk that stores.As would find from an open store of p inwards, or nil.
func diskUnder(p *compose.Part) *diskSpec {
	for {
		if d, ok := p.Spec().(*diskSpec); ok {
			return d
		}
		// What the stores that unwrap call the child that they unwrap to.
		next := slices.IndexFunc(p.Children, func(c *compose.Part) bool { return c.Role == "store" || c.Role == "writer" })
		if next < 0 {
			return nil
		}
		p = p.Children[next]
	}
}

// DisksOf finds the mount points of all disks from p on.
func DisksOf(p *compose.Part) []string {
	var found []string
	if d, ok := p.Spec().(*diskSpec); ok {
		found = append(found, d.MountPoint)
	}
	for _, c := range p.Children {
		found = append(found, DisksOf(c)...)
	}
	return found
}

// OpenExisting opens the catalogue as the store would, but makes neither file nor tables where there are none: those are
// metadata.ErrUnavailable and metadata.ErrSchema.
func (c Catalogued) OpenExisting(log *slog.Logger) (metadata.Catalogue, error) {
	s := *c.spec
	if s.path != "" {
		if _, err := os.Stat(s.path); err != nil { // bolt would make an empty one, which knows nothing
			return nil, fmt.Errorf("%w: there is no catalogue to compare with: %w", metadata.ErrUnavailable, err)
		}
	}
	s.server.CreateSchema = false
	return s.openCatalogue(log)
}
