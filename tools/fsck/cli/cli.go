// Package cli is the command line of fsck, for the program fsck and for `prism fsck`: flags, progress, and the results
// as text or JSON. A command is one file here, with a struct that kong reads and a Run(*Streams) error; what it does is
// done by the packages engine/check, engine/repair, tools/fsck/migrate and tools/fsck/syncdb.
//
// Exit statuses: 0 when a store is clean or was made so, 1 when findings remain, 2 when a command could not run.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/OdyseeTeam/prism/internal/progress"
)

// The exit statuses.
const (
	ExitClean    = 0
	ExitFindings = 1
	ExitFailed   = 2
)

// ErrFindings is what a command returns when it ran to its end, said what is wrong, and left some of it.
var ErrFindings = errors.New("findings remain")

// Commands is all commands of fsck.
type Commands struct {
	Cat          cat          `cmd:"" help:"Print the bytes of a blob, verified."`
	Check        check        `cmd:"" help:"Say what is wrong with a mount, and change nothing."`
	Dump         dump         `cmd:"" help:"Print the slots of a segment."`
	Migrate      migration    `cmd:"" help:"Move the blobs of one store into another, and verify them on the way."`
	Repair       mend         `cmd:"" help:"Make a mount clean, and say what was lost."`
	RebuildIndex rebuildIndex `cmd:"" help:"Make a new index from the segments alone."`
	Stat         stat         `cmd:"" help:"Say what a mount holds."`
	SyncDB       syncDB       `cmd:"" name:"sync-db" help:"Compare a disk with its catalogue, both ways, and settle what differs."`
}

// Common is the flags that every command has. A command embeds it.
type Common struct {
	JSON bool `help:"Print the result as one JSON object."`
}

// Streams is where a command prints: results to Out, progress and errors to Err.
type Streams struct{ Out, Err io.Writer }

// Main is the program: it returns the exit status. Only --help and --version end the process themselves.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	var line struct {
		Commands
		Version kong.VersionFlag `help:"Print the version."`
	}
	if version == "" {
		version = "(no version)"
	}
	parser, err := kong.New(&line,
		kong.Name("fsck"),
		kong.Description("Checks, repairs and looks into the mounts of segment stores."),
		kong.Vars{"version": "fsck " + version},
		kong.Writers(stdout, stderr),
	)
	if err != nil {
		return Report(stderr, "fsck", err)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return Report(stderr, "fsck", fmt.Errorf("%w (fsck --help lists commands and flags)", err))
	}
	return Report(stderr, "fsck", chosen.Run(&Streams{Out: stdout, Err: stderr}))
}

// Report prints an error for a person, unless the result has said it already, and gives the exit status for it.
func Report(stderr io.Writer, program string, err error) int {
	switch {
	case err == nil:
		return ExitClean
	case errors.Is(err, ErrFindings):
		return ExitFindings
	}
	fmt.Fprintf(stderr, "%s: %v\n", program, err)
	return ExitFailed
}

// collectAt is how much garbage there may be, in per cent of what is in use: most of that is rows of the index, which stay
// until the end.
const collectAt = 25

// Until gives the context of a run, which ends with the first SIGINT or SIGTERM. A second one ends the process.
func Until() (ctx context.Context, stop context.CancelFunc) {
	debug.SetGCPercent(collectAt)
	ctx, stop = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// result prints what a command found: as JSON, or as a person reads it.
func (s *Streams) result(asJSON bool, v fmt.Stringer) error {
	if !asJSON {
		_, err := io.WriteString(s.Out, v.String())
		return err
	}
	enc := json.NewEncoder(s.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// progress begins to show on Err how far a command is. What it counts is items of that name, or bytes where there is
// none. The caller closes the meter.
func (s *Streams) progress(command, items string) *progress.Meter {
	f, isFile := s.Err.(*os.File)
	return progress.New(progress.Options{Out: s.Err, Terminal: isFile && progress.Terminal(f), Name: command, Items: items})
}

// size is a number of bytes for a person.
func size(n int64) string { return progress.Bytes(n) }
