// Package cli is the commands of fsck, which checks, repairs and moves stores of blobs that are not in use. The binary
// fsck and `prism fsck` are the same.
//
// Exit statuses: 0 when all is well, or is well now; 1 when something is wrong that stays; 2 when the command could not
// do its work: a wrong command line, a store that is in use, a disk without room.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

const (
	exitOK       = 0
	exitFindings = 1
	exitFailed   = 2
)

// streams are where commands print: what was asked for, and all else.
type streams struct{ out, err io.Writer }

// commandLine is the commands.
type commandLine struct {
	Migrate Migrate `cmd:"" help:"Move the blobs of one store into another, and verify them on the way."`
}

// Run is the program of that name: it returns the exit status. Only --help ends the process itself.
func Run(name string, args []string, stdout, stderr io.Writer) int {
	var flags commandLine
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parser, err := kong.New(&flags,
		kong.Name(name),
		kong.Description("Checks, repairs and moves stores of blobs."),
		kong.Writers(stdout, stderr),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		return report(name, stderr, err)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return report(name, stderr, fmt.Errorf("%w (%s --help lists commands and flags)", err, name))
	}
	return report(name, stderr, chosen.Run())
}

// report prints an error for a person and gives the exit status for it.
func report(name string, stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	if errors.Is(err, ErrFindings) {
		return exitFindings
	}
	return exitFailed
}
