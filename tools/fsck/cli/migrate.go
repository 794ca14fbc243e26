package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/internal/bytesize"
	"github.com/OdyseeTeam/prism/internal/progress"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// migration is the migrate command.
type migration struct {
	Common
	Rate
	From         string         `required:"" placeholder:"DIR" help:"Take blobs from here: one file a blob (any sharding_size), or a segment store."`
	To           string         `required:"" placeholder:"PATH" help:"Put them here: an empty folder, or that of a run that did not end."`
	Layout       migrate.Layout `default:"segments" enum:"segments,sharded" help:"Of PATH: ${enum}; sharded is one file a blob."`
	ShardingSize int            `placeholder:"N" help:"With --layout sharded: the length of the folders' names."`
	MaxSize      capSize        `required:"" placeholder:"SIZE" help:"The max_size that the configuration of PATH will have, as 3TB, or none."`
	SegmentSize  Size           `placeholder:"SIZE" help:"With --layout segments: payload of a segment. Unless given, as the configuration has it."`
	Move         bool           `help:"Free DIR behind itself: each blob leaves it once PATH has it durably. DIR must not be in use."`
	Workers      int            `placeholder:"N" help:"Blobs that are read at once. Unless given 8, and at least one a processor; 1 keeps the order exactly."`
	Temp         string         `placeholder:"DIR" help:"Where many blobs are sorted. Unless given, beside PATH."`
}

// capSize is a size, or none.
type capSize int64

// UnmarshalText reads 3TB, or none.
func (c *capSize) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*c = migrate.NoCap
		return nil
	}
	n, err := bytesize.Parse(string(text))
	*c = capSize(n)
	return err
}

// tellEvery is how often a migration is asked how far it is.
const tellEvery = 200 * time.Millisecond

// Run moves the blobs. Bad ones are printed as they are found.
func (c migration) Run(s *Streams) error {
	// Not Until, which has the collector run often: here most of the memory is buffers and caches.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := s.progress("migrate", "")
	o := migrate.Options{
		From: c.From, To: c.To, Layout: c.Layout, ShardingSize: c.ShardingSize, MaxSize: int64(c.MaxSize),
		SegmentSize: int64(c.SegmentSize), Move: c.Move, Workers: c.Workers, MaxRate: int64(c.MaxRate), Temp: c.Temp,
		Logger: slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if !c.JSON {
		o.OnBad = func(b migrate.Bad) { p.PrintTo(s.Out, "left: "+b.String()) }
	}
	m, err := migrate.New(o)
	if err != nil {
		p.Close()
		return err
	}
	told := tell(p, m)
	rep, err := m.Run(ctx)
	told()
	p.Close()
	if rep.Holds != "" {
		err = errors.Join(err, s.result(c.JSON, rep))
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("it was ended before its end; run it again to go on: %w", err)
	case err != nil:
		return err
	case !rep.Clean():
		return ErrFindings
	}
	return nil
}

// tell shows how far a migration is, until the function that it gives is called.
func tell(p *progress.Meter, m *migrate.Migration) (stop func()) {
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			if now := m.Progress(); now.Phase == migrate.Moving {
				p.Set(now.DoneBytes, now.FoundBytes)
			}
		}
	})
	return func() {
		close(ended)
		wg.Wait()
	}
}
