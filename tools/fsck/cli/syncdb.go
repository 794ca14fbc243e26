package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

// syncDB is the sync-db command.
type syncDB struct {
	Common
	Rate
	Path      string        `arg:"" help:"The mount_point of a disk, of either layout, that no program has open."`
	Config    string        `required:"" placeholder:"FILE" help:"The configuration that has a db_backed over that disk."`
	OlderThan time.Duration `default:"1h" placeholder:"DUR" help:"What is younger is in flight, and no finding: ${default} unless given, 0s for all."`
	Repair    bool          `help:"Have the catalogue say what the disk has."`
}

// Run compares, and repairs.
func (c syncDB) Run(s *Streams) error {
	ctx, stop := Until()
	defer stop()
	if c.OlderThan < 0 {
		return fmt.Errorf("--older-than %v: a time is not negative", c.OlderThan)
	}
	p := s.progress("sync-db", "blobs")
	r, err := syncdb.Run(ctx, syncdb.Options{
		Path: c.Path, Config: c.Config, OlderThan: c.OlderThan, Repair: c.Repair, Limit: c.limit(), Progress: p.Set,
		Logger: slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	p.Close()
	if errors.Is(err, syncdb.ErrStrangers) { // what was found helps to see which of the two is the wrong one
		err = errors.Join(err, s.result(c.JSON, r))
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("it was ended before its end; run it again to go on: %w", err)
	case err != nil:
		return err
	}
	if err := s.result(c.JSON, r); err != nil || r.Clean() {
		return err
	}
	return ErrFindings
}
