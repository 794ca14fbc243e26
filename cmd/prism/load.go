package main

import (
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores/all"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// plan is a configuration that was read and found right; nothing of it is open.
type plan struct {
	config   *config.Config
	tree     *compose.Tree
	warnings []*yamlnode.Problem
}

// load reads and checks everything that the configuration of a command says.
func load(dir, command string) (*plan, error) {
	r := &yamlnode.Report{}
	p := &plan{config: config.Load(dir, command, r)}
	if p.config != nil {
		checkServers(p.config, r)
		if p.config.Store != nil {
			p.tree = compose.Check(all.Kinds(), p.config.Store, r)
		}
	}
	p.warnings = r.Warnings()
	if err := r.Err(); err != nil {
		return p, configError{fmt.Errorf("wrong configuration\n%w", err)}
	}
	return p, nil
}

// checkServers demands a server that this version has, and warns of what it has not: files of older servers name all
// three, and a blobcache that serves HTTP alone is of use to most of their clients.
func checkServers(c *config.Config, r *yamlnode.Report) {
	s := c.Servers
	if s.HTTP3 != nil {
		r.Warnf(s.HTTP3.At, "has no effect: this version does not serve HTTP/3 yet")
	}
	if s.Peer != nil {
		r.Warnf(s.Peer.At, "has no effect: this version does not serve the peer protocol yet")
	}
	if c.Lists.At != nil {
		r.Warnf(c.Lists.At, "has no effect: this version has no lists yet, and serves every blob to everybody")
	}
	if s.HTTP == nil {
		r.Errorf(yamlnode.At(c.File), "there is nothing to serve; add servers: {http: {port: %d}}", config.DefaultHTTPPort)
	}
}

// printWarnings shows warnings to a person.
func printWarnings(out io.Writer, warnings []*yamlnode.Problem) {
	for _, w := range warnings {
		fmt.Fprintln(out, "warning:", w)
	}
}
