package main

import (
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// checkConfig is the check-config command.
type checkConfig struct {
	Command string `arg:"" enum:"blobcache,reflector,upload" help:"The command whose configuration is read: blobcache, reflector or upload."`
}

// Run reads the configuration and prints what it says, secrets left out. It opens nothing but the file.
func (c checkConfig) Run(flags *commandLine, out io.Writer) error {
	p, err := load(flags.ConfDir, c.Command)
	printWarnings(out, p.warnings)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is right\n", p.config.File)
	printServers(out, &p.config.Servers)
	printDatabase(out, p.config.Database)
	fmt.Fprintf(out, "log: %s as %s; drain: %s\n", p.config.Log.Level, p.config.Log.Format, p.config.DrainTimeout)
	return p.tree.Print(out)
}

// printDatabase prints a line for the database of an upload.
func printDatabase(out io.Writer, d *config.Database) {
	switch {
	case d == nil:
	case d.Path != "":
		fmt.Fprintf(out, "database: the embedded catalogue %s\n", d.Path)
	default:
		fmt.Fprintf(out, "database: %s at %s as %s\n", d.Name, net.JoinHostPort(d.Host, strconv.Itoa(d.Port)), d.User)
	}
}

// printServers prints a line for each server.
func printServers(out io.Writer, s *config.Servers) {
	if h := s.HTTP; h != nil {
		fmt.Fprintf(out, "http: %s, %d requests and %d connections at once, readers of at least %s/s\n",
			h.Addr(), h.MaxConcurrentRequests, h.MaxConnections, bytesize.Size(h.MinRate))
	}
	if h := s.HTTP3; h != nil {
		cert := "a certificate of its own"
		if h.TLSCert != "" {
			cert = "the certificate " + h.TLSCert
		}
		fmt.Fprintf(out, "http3: %s, %d requests at once, %s\n", h.Addr(), h.MaxConcurrentRequests, cert)
	}
	if p := s.Peer; p != nil {
		fmt.Fprintf(out, "peer: %s\n", p.Addr())
	}
}
