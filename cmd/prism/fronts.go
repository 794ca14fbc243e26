package main

import (
	"context"
	"fmt"
	"time"

	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// configured makes the servers that the configuration names.
func configured(p *program) ([]*front, error) {
	var fronts []*front
	s := p.plan.config.Servers
	for _, make := range []func() (*front, error){
		func() (*front, error) {
			if s.HTTP == nil {
				return nil, nil
			}
			return p.http()
		},
	} {
		f, err := make()
		if err != nil {
			return fronts, err
		}
		if f != nil {
			fronts = append(fronts, f)
		}
	}
	return fronts, nil
}

// drainTimeout is how long each server may drain.
func (p *program) drainTimeout() time.Duration {
	return max(p.plan.config.DrainTimeout, 1) // 0 would be the servers' default
}

func (p *program) http() (*front, error) {
	conf := p.plan.config.Servers.HTTP
	server, err := httpd.New(httpd.Options{
		Store:                 p.plan.tree.Store(),
		Gate:                  &httpd.TokenGate{Token: conf.EdgeToken},
		Logger:                p.log,
		MaxConcurrentRequests: conf.MaxConcurrentRequests,
		MaxConnections:        conf.MaxConnections,
		MinRate:               conf.MinRate,
		DrainTimeout:          p.drainTimeout(),
	})
	if err != nil {
		return nil, err
	}
	ln, err := listen(conf.Addr(), fmt.Sprintf("%s: servers.http.port", conf.At.Position()))
	if err != nil {
		return nil, err
	}
	p.sources.HTTP = server
	return &front{
		name: "http", addr: ln.Addr(), close: ln.Close,
		serve: func(ctx context.Context) error { return server.Serve(ctx, ln) },
	}, nil
}
