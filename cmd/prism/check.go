package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/bytesize"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/stores"
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
	printServers(out, &p.config.Servers, c.Command == "reflector")
	if c.Command == "upload" {
		printDatabase(out, p.config.Database)
	} else {
		printLists(out, p.config, c.Command)
	}
	if a := p.config.AdminSocket; a != "" {
		fmt.Fprintf(out, "admin: %s, for root and the user that runs prism\n", a)
	}
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

// printLists prints a line for each list.
func printLists(out io.Writer, c *config.Config, command string) {
	dir := stateDir(c, command)
	b := &c.Lists.Blocklist
	if b.Enabled {
		then := "served all the same"
		if !b.Serve {
			then = "not served"
		}
		if b.Delete {
			then = "deleted, " + then
		}
		fmt.Fprintf(out, "blocked blobs: %s; refused on upload, %s\n",
			listed(b.URL, lists.DefaultBlockedURL, b.Interval, lists.DefaultBlockedInterval, dir), then)
	} else {
		fmt.Fprintln(out, "blocked blobs: no list")
	}
	p := &c.Lists.Protected
	if p.Enabled {
		then := "the last good list decides"
		if p.OnFailure == config.OnFailureClosed {
			then = fmt.Sprintf("every blob is protected while there is no list younger than %v", stores.OrDefault(p.MaxAge, lists.DefaultMaxAge))
		}
		fmt.Fprintf(out, "protected blobs: %s; %s\n",
			listed(p.URL, lists.DefaultProtectedURL, p.Interval, lists.DefaultProtectedInterval, dir), then)
	} else {
		fmt.Fprintln(out, "protected blobs: no list")
	}
}

// listed says where a list comes from, without a password.
func listed(address, defaultAddress string, interval, defaultInterval time.Duration, dir string) string {
	if address == "" {
		address = defaultAddress
	}
	if u, err := url.Parse(address); err == nil {
		address = u.Redacted()
	}
	return fmt.Sprintf("%s every %v, kept in %s", address, stores.OrDefault(interval, defaultInterval), dir)
}

// bounds says how many connections a server allows.
func bounds(c config.Connections) string {
	if c.PerAddress == 0 {
		return fmt.Sprintf("%d connections at once", c.Most)
	}
	return fmt.Sprintf("%d connections at once, %d of an address", c.Most, c.PerAddress)
}
