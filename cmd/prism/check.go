package main

import (
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// checkConfig is the check-config command.
type checkConfig struct {
	Command string `arg:"" enum:"blobcache,reflector,upload" help:"The command whose configuration is read: blobcache."`
}

// Run reads the configuration and prints what it says, secrets left out. It opens nothing but the file.
func (c checkConfig) Run(flags *commandLine, out io.Writer) error {
	if c.Command != "blobcache" {
		return notYet(c.Command)
	}
	p, err := load(flags.ConfDir, c.Command)
	printWarnings(out, p.warnings)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is right\n", p.config.File)
	h := p.config.Servers.HTTP
	fmt.Fprintf(out, "http: %s, %d requests and %d connections at once, readers of at least %s/s\n",
		h.Addr(), h.MaxConcurrentRequests, h.MaxConnections, bytesize.Size(h.MinRate))
	fmt.Fprintf(out, "log: %s as %s; drain: %s\n", p.config.Log.Level, p.config.Log.Format, p.config.DrainTimeout)
	return p.tree.Print(out)
}
