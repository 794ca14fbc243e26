package cli

import (
	checker "github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// check is the check command.
type check struct {
	Common
	Rate
	Path string `arg:"" help:"The mount: the folder that has the superblock."`
	Data bool   `help:"Read every payload too, and compare it with its CRC."`
	Hash bool   `help:"Read every payload too, and compare it with its CRC and its SHA-384."`
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
	r, err := checker.Mount(ctx, diskfs.OS(), c.Path, checker.Options{
		Payloads: c.Data, Hashes: c.Hash, Limit: c.limit(), Progress: p.Set,
	})
	p.Close()
	if err != nil {
		return err
	}
	if err := s.result(c.JSON, r); err != nil || r.Clean() {
		return err
	}
	return ErrFindings
}
