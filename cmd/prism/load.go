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
		if command != "upload" {
			checkServers(p.config, command, r)
		}
		if p.config.Store != nil {
			p.tree = compose.Check(all.Kinds(), p.config.Store, r)
		}
		if command != "blobcache" && p.tree != nil {
			eachWriter(p.tree.Root, func(w *compose.Part) { checkWritable(w, command, r) })
		}
	}
	p.warnings = r.Warnings()
	if err := r.Err(); err != nil {
		return p, configError{fmt.Errorf("wrong configuration\n%w", err)}
	}
	return p, nil
}

// checkServers demands something to serve.
func checkServers(c *config.Config, command string, r *yamlnode.Report) {
	s := c.Servers
	if command == "blobcache" && s.Receiver.At != nil {
		r.Warnf(s.Receiver.At, "has no effect: only prism reflector takes uploads")
	}
	if command == "blobcache" && s.HTTP == nil && s.HTTP3 == nil && s.Peer == nil {
		r.Errorf(yamlnode.At(c.File), "there is nothing to serve; add servers: {http: {port: %d}}", config.DefaultHTTPPort)
	}
}

// checkWritable demands of a store that uploads go to that it takes any.
func checkWritable(p *compose.Part, command string, r *yamlnode.Report) {
	switch p.Kind {
	case "http", "http3", "peer", "upstream":
		r.Errorf(p.At, "takes no uploads: a store of kind %s only reads; %s needs one that it can write to, such as s3 or disk", p.Kind, who[command])
	}
}

// who is a command in messages.
var who = map[string]string{"reflector": "a reflector", "upload": "an upload"}

// eachWriter calls fn for p and every store below it on whose Put a Put into p waits.
func eachWriter(p *compose.Part, fn func(*compose.Part)) {
	fn(p)
	for _, c := range p.Children {
		switch {
		case p.Kind == "caching" && c.Role == "cache", p.Kind == "ittt" && c.Role == "that", p.Kind == "proxied-s3" && c.Role == "reader":
		default:
			eachWriter(c, fn)
		}
	}
}

// printWarnings shows warnings to a person.
func printWarnings(out io.Writer, warnings []*yamlnode.Problem) {
	for _, w := range warnings {
		fmt.Fprintln(out, "warning:", w)
	}
}
