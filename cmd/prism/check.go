package main

import (
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// checkConfig is the check-config command.
type checkConfig struct {
	Command string `arg:"" enum:"blobcache,reflector,upload" help:"The command whose configuration is read: blobcache or reflector."`
}

// Run reads the configuration and prints what it says, secrets left out. It opens nothing but the file.
func (c checkConfig) Run(flags *commandLine, out io.Writer) error {
	if c.Command == "upload" {
		return notYet(c.Command)
	}
	p, err := load(flags.ConfDir, c.Command)
	printWarnings(out, p.warnings)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is right\n", p.config.File)
	printServers(out, &p.config.Servers, c.Command == "reflector")
	fmt.Fprintf(out, "log: %s as %s; drain: %s\n", p.config.Log.Level, p.config.Log.Format, p.config.DrainTimeout)
	return p.tree.Print(out)
}

// printServers prints a line for each server; the receiver is one of them where uploads are taken.
func printServers(out io.Writer, s *config.Servers, uploads bool) {
	if h := s.HTTP; h != nil {
		fmt.Fprintf(out, "http: %s, %d requests and %d connections at once, readers of at least %s/s\n",
			h.Addr(), h.MaxConcurrentRequests, h.MaxConnections, bytesize.Size(h.MinRate))
	}
	if h := s.HTTP3; h != nil {
		cert := "a certificate of its own"
		if h.TLSCert != "" {
			cert = "the certificate " + h.TLSCert
		}
		fmt.Fprintf(out, "http3: %s, %d requests and %s, %s\n", h.Addr(), h.MaxConcurrentRequests, bounds(h.Connections), cert)
	}
	if p := s.Peer; p != nil {
		fmt.Fprintf(out, "peer: %s, %s\n", p.Addr(), bounds(p.Connections))
	}
	if uploads {
		fmt.Fprintf(out, "receiver: --receiver-port, %s\n", bounds(s.Receiver.Connections))
	}
}

// bounds says how many connections a server allows.
func bounds(c config.Connections) string {
	if c.PerAddress == 0 {
		return fmt.Sprintf("%d connections at once", c.Most)
	}
	return fmt.Sprintf("%d connections at once, %d of an address", c.Most, c.PerAddress)
}
