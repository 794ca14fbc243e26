package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/frontends/download"
	"github.com/OdyseeTeam/prism/frontends/upload"
	"github.com/OdyseeTeam/prism/internal/progress"
)

// streamCommand is the stream command.
type streamCommand struct {
	Pack  packCommand  `cmd:"" help:"Make the blobs of a stream of a file, and print the hash that names the stream."`
	Fetch fetchCommand `cmd:"" help:"Get the file of a stream from a server."`
}

// packCommand is stream pack.
type packCommand struct {
	File string `arg:"" help:"The file."`
	Dir  string `arg:"" help:"The folder for the blobs; it is made where it is missing."`
	Name string `placeholder:"NAME" help:"Name of the file in the stream, if it is to be another."`
}

// Run packs. The hash alone goes to standard output.
func (c packCommand) Run(out io.Writer) error {
	return withMeter("blobs", func(ctx context.Context, m *progress.Meter) error {
		res, err := upload.Pack(ctx, upload.PackOptions{File: c.File, Dir: c.Dir, Name: c.Name, Meter: m})
		m.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "packed %s, %s, into %d content blobs and an SD blob in %s\n", c.File, progress.Bytes(res.Size), res.Blobs, c.Dir)
		_, err = fmt.Fprintln(out, res.SD)
		return err
	})
}

// fetchCommand is stream fetch.
type fetchCommand struct {
	SDHash    string `arg:"" name:"sdhash" help:"The hash that names the stream."`
	From      string `required:"" placeholder:"URL" help:"The server: http://HOST:PORT, http3://HOST:PORT or peer://HOST:PORT."`
	Output    string `short:"o" placeholder:"FILE" help:"The file to write, or a folder for one of the name that the stream suggests (the working folder)."`
	Force     bool   `help:"Replace a file that exists."`
	AtOnce    int    `default:"8" placeholder:"N" help:"Blobs to fetch at once (8), up to 32."`
	EdgeToken string `env:"PRISM_EDGE_TOKEN" placeholder:"TOKEN" help:"Opens protected blobs, over HTTP. Better given in the environment, as PRISM_EDGE_TOKEN."`
}

// Run fetches. The path of the file alone goes to standard output.
func (c fetchCommand) Run(out io.Writer) error {
	sd, err := blob.ParseHash(c.SDHash)
	if err != nil {
		return configError{fmt.Errorf("SDHASH: %w", err)}
	}
	if c.AtOnce < 1 || c.AtOnce > 32 {
		return configError{fmt.Errorf("--at-once=%d is out of range; want 1 to 32", c.AtOnce)}
	}
	origin, err := download.Open(c.From, c.EdgeToken)
	if err != nil {
		return configError{fmt.Errorf("--from: %w", err)}
	}
	err = withMeter("blobs", func(ctx context.Context, m *progress.Meter) error {
		res, err := download.Fetch(ctx, download.Options{
			Origin: origin, SD: sd, Output: c.Output, Force: c.Force, AtOnce: c.AtOnce, Meter: m,
		})
		m.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "fetched %s in %d blobs, each compared with its name", progress.Bytes(res.Size), res.Blobs)
		if res.Kept > 0 {
			fmt.Fprintf(os.Stderr, "; %d of them were there from before", res.Kept)
		}
		fmt.Fprintln(os.Stderr)
		_, err = fmt.Fprintln(out, res.Path)
		return err
	})
	return errors.Join(err, origin.Close())
}

// withMeter does something that a person watches and may end with a signal.
func withMeter(items string, do func(context.Context, *progress.Meter) error) error {
	m := progress.New(progress.Options{Out: os.Stderr, Terminal: progress.Terminal(os.Stderr), Items: items})
	defer m.Close()
	ctx, stop := untilSignal(newLogger(m, config.Log{}, nil))
	defer stop()
	err := do(ctx, m)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted: %w", err)
	}
	return err
}
