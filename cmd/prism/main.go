// Command prism serves blobs. It wires the other packages together and holds no logic of its own: flags, then the
// configuration, then the tree of stores, then serving until a signal, then the drain; or, for the commands that end by
// themselves, an upload or a stream, with their progress on standard error.
//
// Exit statuses: 0 when it was told to stop and every request in flight was answered, 1 for a failure while it ran or
// started, 2 for a wrong command line or configuration, with nothing opened. Those of fsck are its own: see tools/fsck/cli.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitConfig = 2
)

// configError is an error of the command line or the configuration: nothing was opened.
type configError struct{ error }

// commandLine is the flags and commands. Flags stand before or after the command.
type commandLine struct {
	ConfDir string           `default:"./" placeholder:"DIR" help:"Folder with the configuration files, one a command: DIR/COMMAND.yaml, .yml or without extension."`
	Verbose []string         `short:"v" placeholder:"LIST" help:"Log more. \"all\" logs everything."`
	Version kong.VersionFlag `help:"Print the version."`

	Blobcache   blobcache        `cmd:"" help:"Serve blobs from a cache in front of an origin."`
	CheckConfig checkConfig      `cmd:"" help:"Read the configuration of a command, print its stores, and open nothing."`
	Fsck        cli.Commands     `cmd:"" help:"Check, repair and look into the mounts of segment stores."`
	PrintVer    printer          `cmd:"" name:"version" help:"Print the version."`
	Reflector   reflectorCommand `cmd:"" help:"Take blobs from uploaders, and serve them."`
	Schema      schema           `cmd:"" help:"Print the SQL that makes the tables of a catalogue in MySQL or MariaDB."`
	Stream      streamCommand    `cmd:"" help:"Make a stream of a file, or a file of a stream."`
	Upload      uploadCommand    `cmd:"" help:"Put a folder of blobs into a store."`
}

// printer is the version command.
type printer struct{}

// Run prints the version.
func (printer) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, versionLine())
	return err
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: it returns the exit status. Only --help and --version end the process themselves.
func run(args []string, stdout, stderr io.Writer) int {
	var flags commandLine
	parser, err := kong.New(&flags,
		kong.Name("prism"),
		kong.Description("Stores and serves blobs: at most 2 MiB each, named by the SHA-384 of their bytes."),
		kong.Vars{"version": versionLine()},
		kong.Writers(stdout, stderr),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		return report(stderr, err)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return report(stderr, configError{fmt.Errorf("%w (prism --help lists commands and flags)", err)})
	}
	if strings.HasPrefix(chosen.Command(), "fsck ") {
		return cli.Report(stderr, "prism fsck", chosen.Run(&cli.Streams{Out: stdout, Err: stderr}))
	}
	return report(stderr, chosen.Run(&flags))
}

// report prints an error for a person and gives the exit status for it.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "prism:", err)
	if _, ok := errors.AsType[configError](err); ok {
		return exitConfig
	}
	return exitFailed
}
