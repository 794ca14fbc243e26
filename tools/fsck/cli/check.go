package cli

import (
	"context"

	checker "github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// check is the check command.
type check struct {
	Common
	Rate
	Online
	Data bool `help:"Read every payload too, and compare it with its CRC."`
	Hash bool `help:"Read every payload too, and compare it with its CRC and its SHA-384."`
}

// Run checks the mount.
func (c check) Run(s *Streams) error {
	ctx, stop := Until()
	defer stop()
	items := "blobs"
	if c.Data || c.Hash {
		items = "" // bytes
	}
	p := s.progress("check", items)
	r, err := c.look(ctx, checker.Options{Payloads: c.Data, Hashes: c.Hash, Limit: c.limit(), Progress: p.Set})
	p.Close()
	if err != nil {
		return err
	}
	if err := s.result(c.JSON, r); err != nil || r.Clean() {
		return err
	}
	return ErrFindings
}

// look checks the mount at rest, or while it is served.
func (c check) look(ctx context.Context, o checker.Options) (checker.Report, error) {
	if !c.wanted() {
		r, err := checker.Mount(ctx, diskfs.OS(), c.Path, o)
		return r, c.refused(err, "check")
	}
	served, err := c.served(ctx)
	if err != nil {
		return checker.Report{}, err
	}
	return checker.Online(ctx, diskfs.OS(), served.Dir, served, o)
}
