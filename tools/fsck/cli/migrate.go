package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/internal/bytesize"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// ErrFindings: the command did its work, and something is wrong that stays. The exit status is 1.
var ErrFindings = errors.New("findings remain")

// Migrate is the command fsck migrate.
type Migrate struct {
	From         string `required:"" placeholder:"DIR" help:"Take blobs from here: one file a blob (any sharding_size), or a segment store."`
	To           string `required:"" placeholder:"PATH" help:"Put them here: an empty folder, or that of a run that did not end."`
	Layout       string `default:"segments" enum:"segments,sharded" help:"Of PATH: ${enum}; sharded is one file a blob."`
	ShardingSize int    `placeholder:"N" help:"With --layout sharded: the length of the folders' names."`
	MaxSize      string `required:"" placeholder:"SIZE" help:"The max_size that the configuration of PATH will have, as 3TB, or none."`
	SegmentSize  string `placeholder:"SIZE" help:"With --layout segments: payload of a segment. Unless given, as the configuration has it."`
	Move         bool   `help:"Free DIR behind itself: each blob leaves it once PATH has it durably. DIR must not be in use."`
	Workers      int    `placeholder:"N" help:"Blobs that are read at once. Unless given, one a processor; 1 keeps the order exactly."`
	MaxRate      string `placeholder:"SIZE" help:"Read no more a second than this."`
	Temp         string `placeholder:"DIR" help:"Where many blobs are sorted. Unless given, beside PATH."`
	JSON         bool   `name:"json" help:"Print the report as JSON."`
}

// Run is the command. Bad blobs are printed as they are found, and the progress on stderr.
func (c *Migrate) Run(ctx context.Context, to streams) error {
	o, err := c.options(to.err)
	if err != nil {
		return err
	}
	show := newProgress(to.err)
	if !c.JSON {
		o.OnBad = func(b migrate.Bad) { show.line(to.out, "left: "+b.String()) }
	}
	m, err := migrate.New(o)
	if err != nil {
		return err
	}
	stop := show.watch(m)
	rep, err := m.Run(ctx)
	stop()
	if c.JSON {
		if jerr := json.NewEncoder(to.out).Encode(rep); jerr != nil {
			return errors.Join(err, jerr)
		}
	} else if rep.Holds != "" {
		printReport(to.out, rep)
	}
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("it was ended before its end; run it again to go on: %w", err)
	}
	if err == nil && !rep.Clean() {
		err = fmt.Errorf("%w: %d bad blobs stay in %s", ErrFindings, rep.Bad, rep.From)
	}
	return err
}

// options reads the sizes.
func (c *Migrate) options(stderr io.Writer) (migrate.Options, error) {
	o := migrate.Options{
		From: c.From, To: c.To, Layout: migrate.Layout(c.Layout), ShardingSize: c.ShardingSize, MaxSize: migrate.NoCap,
		Move: c.Move, Workers: c.Workers, Temp: c.Temp,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	size := func(flag, text string, to *int64) error {
		n, err := bytesize.Parse(text)
		if err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		*to = int64(n)
		return nil
	}
	var errs []error
	if c.MaxSize != "none" {
		errs = append(errs, size("max-size", c.MaxSize, &o.MaxSize))
	}
	if c.SegmentSize != "" {
		errs = append(errs, size("segment-size", c.SegmentSize, &o.SegmentSize))
	}
	if c.MaxRate != "" {
		errs = append(errs, size("max-rate", c.MaxRate, &o.MaxRate))
	}
	return o, errors.Join(errs...)
}

func printReport(w io.Writer, r migrate.Report) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("%s → %s", r.From, r.To)
	p("  found    %d blobs, %s (%s)", r.Found, bytesOf(r.FoundBytes), r.Holds)
	p("  copied   %d blobs, %s, in %v (%s/s)", r.Copied, bytesOf(r.CopiedBytes), r.Took.Round(time.Millisecond),
		bytesOf(int64(float64(r.CopiedBytes)/max(r.Took.Seconds(), 0.001))))
	p("  there    %d blobs already", r.There)
	if r.Moved {
		p("  freed    %d blobs in %s", r.Freed, r.From)
	}
	if r.Gone > 0 {
		p("  gone     %d blobs left %s meanwhile", r.Gone, r.From)
	}
	if r.ServedBy != "" {
		p("  served   by %s meanwhile: run it again for what came since", r.ServedBy)
	}
	p("  bad      %d blobs, which stay", r.Bad)
}
