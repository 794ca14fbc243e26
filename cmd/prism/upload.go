package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/OdyseeTeam/prism/frontends/upload"
	"github.com/OdyseeTeam/prism/internal/progress"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// uploadCommand is the upload command.
type uploadCommand struct {
	Path                   string `arg:"" help:"A file named by the SHA-384 of its bytes, a folder of such files, or a folder of such folders."`
	Workers                int    `default:"1" placeholder:"N" help:"Blobs to upload at once (1)."`
	SkipExistsCheck        bool   `name:"skipExistsCheck" help:"Upload everything, without asking what is stored already."`
	DeleteBlobsAfterUpload bool   `name:"deleteBlobsAfterUpload" help:"Delete each file once its blob is confirmed to be stored."`
}

// maxWorkers is what a mistyped number is caught by: each worker has a buffer of 2 MiB.
const maxWorkers = 1024

// Run uploads, tells how far it is, and prints a summary.
func (c uploadCommand) Run(flags *commandLine) error {
	if c.Workers < 1 || c.Workers > maxWorkers {
		return configError{fmt.Errorf("--workers=%d is out of range; want 1 to %d", c.Workers, maxWorkers)}
	}
	p, err := load(flags.ConfDir, "upload")
	printWarnings(os.Stderr, p.warnings)
	if err != nil {
		return err
	}
	return withMeter("blobs", func(ctx context.Context, m *progress.Meter) (err error) {
		log := newLogger(m, p.config.Log, flags.Verbose)
		if err := p.tree.Open(ctx, compose.Env{Logger: log}); err != nil {
			if badSettings(err) {
				return configError{err}
			}
			return err
		}
		defer func() {
			if cerr := p.tree.Close(); cerr != nil {
				err = errors.Join(err, fmt.Errorf("close the stores: %w", cerr))
			}
		}()
		database := p.config.Database
		if c.SkipExistsCheck {
			database = nil // nothing will be asked
		}
		catalogue, err := openCatalogue(ctx, database, log)
		if err != nil {
			return err
		}
		if catalogue != nil {
			defer func() { err = errors.Join(err, catalogue.Close()) }()
		}
		return c.upload(ctx, p, catalogue, m)
	})
}

// upload uploads into open stores.
func (c uploadCommand) upload(ctx context.Context, p *plan, catalogue metadata.Catalogue, m *progress.Meter) error {
	o := upload.Options{
		Path:    c.Path,
		Store:   p.tree.Store(),
		Workers: c.Workers,
		Delete:  c.DeleteBlobsAfterUpload,
		Holders: holders(p.tree.Root),
		Meter:   m,
	}
	if !c.SkipExistsCheck {
		if catalogue != nil {
			o.Catalogue = catalogue
		}
		// A catalogue that the store writes to knows all that the store has.
		o.AskStore = catalogue == nil || !writesCatalogue(p.tree.Root)
	}
	if why := stores.VolatileOf(o.Store); why != "" {
		m.Println("warning: what is uploaded is not safe yet when it is reported so: " + why)
	}
	sum, err := upload.Upload(ctx, o)
	m.Close()
	fmt.Fprintln(os.Stderr, sum)
	if errors.Is(err, upload.ErrForgets) {
		return configError{fmt.Errorf("--deleteBlobsAfterUpload: %w", err)}
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; what was uploaded stays, and the same command goes on from there", err)
	}
	return err
}

// holders are the stores at the ends of the tree that bytes go to.
func holders(root *compose.Part) []stores.Store {
	var ends []stores.Store
	eachWriter(root, func(w *compose.Part) {
		if len(w.Children) == 0 {
			ends = append(ends, w.Store())
		}
	})
	return ends
}

// writesCatalogue says whether a store notes in a catalogue what it takes.
func writesCatalogue(root *compose.Part) bool {
	found := false
	eachWriter(root, func(w *compose.Part) { found = found || w.Kind == "db_backed" })
	return found
}
