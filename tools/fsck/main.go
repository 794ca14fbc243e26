// Command fsck checks, repairs and moves stores of blobs; see package cli.
package main

import (
	"os"

	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

func main() { os.Exit(cli.Run("fsck", os.Args[1:], os.Stdout, os.Stderr)) }
