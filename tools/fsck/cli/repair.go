package cli

import (
	"github.com/OdyseeTeam/prism/engine/repair"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// mend is the repair command.
type mend struct {
	Common
	Rate
	Path   string `arg:"" help:"The mount: the folder that has the superblock."`
	DryRun bool   `help:"Say what would be done, and change nothing."`
	Fast   bool   `help:"Do not read payloads: the first read of each proves it."`
}

// Run repairs the mount.
func (c mend) Run(s *Streams) error {
	return c.run(s, "repair", repair.Options{DryRun: c.DryRun, Fast: c.Fast})
}

// run repairs, and prints what was done. A dry run that would do something leaves it.
func (c mend) run(s *Streams, what string, o repair.Options) error {
	ctx, stop := Until()
	defer stop()
	p := s.progress(what, "segments")
	o.Limit, o.Progress = c.limit(), p.Set
	r, err := repair.Mount(ctx, diskfs.OS(), c.Path, o)
	p.Close()
	if err != nil {
		return err
	}
	if err := s.result(c.JSON, r); err != nil {
		return err
	}
	if o.DryRun && (len(r.Done) > 0 || len(r.Lost) > 0) {
		return ErrFindings
	}
	return nil
}

// rebuildIndex is the rebuild-index command.
type rebuildIndex struct {
	Common
	Path string `arg:"" help:"The mount: the folder that has the superblock."`
}

// Run makes a new index from the segments alone.
func (c rebuildIndex) Run(s *Streams) error {
	return mend{Common: c.Common, Path: c.Path}.run(s, "rebuild-index", repair.Options{IgnoreIndex: true, Fast: true})
}
