// Command fsck checks, repairs and looks into the mounts of segment stores while no program serves them. `check` and `stat`
// can do it while one does, with --online. It is `prism fsck` as a program of its own: all of it is in package cli.
package main

import (
	"os"

	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// version is set by the linker.
var version string

func main() { os.Exit(cli.Main(os.Args[1:], version, os.Stdout, os.Stderr)) }
