package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/OdyseeTeam/prism/admin"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// configured makes the servers that the configuration names. With an error come those that were made before it.
func configured(p *program) ([]*front, error) {
	var fronts []*front
	s := p.plan.config.Servers
	for _, kind := range []struct {
		wanted bool
		make   func() (*front, error)
	}{
		{s.HTTP != nil, p.http},
		{s.HTTP3 != nil, p.http3},
		{s.Peer != nil, p.peer},
		{p.plan.config.AdminSocket != "", p.admin},
	} {
		if !kind.wanted {
			continue
		}
		f, err := kind.make()
		if err != nil {
			return fronts, err
		}
		fronts = append(fronts, f)
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
		Gate:                  p.gate(conf.EdgeToken),
		Logger:                p.log,
		MaxConcurrentRequests: conf.MaxConcurrentRequests,
		MaxConnections:        conf.MaxConnections,
		MinRate:               conf.MinRate,
		DrainTimeout:          p.drainTimeout(),
	})
	if err != nil {
		return nil, err
	}
	p.sources.HTTP = server
	return overTCP("http", conf.Addr(), fmt.Sprintf("%s: servers.http.port", conf.At.Position()), server.Serve)
}

func (p *program) http3() (*front, error) {
	conf := p.plan.config.Servers.HTTP3
	server, err := http3d.New(http3d.Options{
		Options: httpd.Options{
			Store:                 p.plan.tree.Store(),
			Gate:                  p.gate(""),
			Logger:                p.log,
			MaxConcurrentRequests: conf.MaxConcurrentRequests,
			MaxConnections:        conf.Connections.Most,
			DrainTimeout:          p.drainTimeout(),
		},
		MaxConnectionsPerAddress: conf.Connections.PerAddress,
		TLSCert:                  conf.TLSCert, TLSKey: conf.TLSKey,
	})
	if err != nil {
		return nil, configError{fmt.Errorf("%s: servers.http3: %w", conf.At.Position(), err)}
	}
	conn, err := net.ListenPacket("udp", conf.Addr())
	if err != nil {
		return nil, portTaken(fmt.Sprintf("%s: servers.http3.port", conf.At.Position()), err)
	}
	p.sources.HTTP3 = server
	return &front{
		name: "http3", addr: conn.LocalAddr(), close: conn.Close,
		serve: func(ctx context.Context) error { return server.Serve(ctx, conn) },
	}, nil
}

func (p *program) peer() (*front, error) {
	conf := p.plan.config.Servers.Peer
	server, err := peerd.New(peerd.Options{
		Store:          p.plan.tree.Store(),
		Gate:           p.gate(""),
		Logger:         p.log,
		MaxConnections: conf.Connections.Most,
		MaxPerAddress:  conf.Connections.PerAddress,
		DrainTimeout:   p.drainTimeout(),
	})
	if err != nil {
		return nil, err
	}
	p.sources.Peer = server
	return overTCP("peer", conf.Addr(), fmt.Sprintf("%s: servers.peer.port", conf.At.Position()), server.Serve)
}

// admin makes the socket for fsck --online.
func (p *program) admin() (*front, error) {
	o := admin.Options{Logger: p.log}
	p.plan.tree.Walk(func(part *compose.Part, _ int) {
		if d, ok := part.Store().(*disk.Store); ok {
			o.Stores = append(o.Stores, d)
		}
	})
	ln, err := admin.Listen(p.plan.config.AdminSocket)
	if err != nil {
		return nil, fmt.Errorf("admin_socket: %w", err)
	}
	server := admin.New(o)
	return &front{
		name: "admin", addr: ln.Addr(), close: ln.Close,
		serve: func(ctx context.Context) error { return server.Serve(ctx, ln) },
	}, nil
}

// receiver makes the server that takes blobs from uploaders.
func (p *program) receiver(port int) (*front, error) {
	conf := p.plan.config.Servers.Receiver
	o := reflector.Options{
		Store:          p.plan.tree.Store(),
		Logger:         p.log,
		MaxConnections: conf.Most,
		MaxPerAddress:  conf.PerAddress,
		DrainTimeout:   p.drainTimeout(),
	}
	if p.blocked != nil {
		o.Blocked = p.blocked.Contains
	}
	server, err := reflector.New(o)
	if err != nil {
		return nil, err
	}
	p.sources.Reflector = server
	return overTCP("receiver", ":"+strconv.Itoa(port), "--receiver-port", server.Serve)
}

// overTCP listens for a server. The error names the key to change.
func overTCP(name, addr, key string, serve func(context.Context, net.Listener) error) (*front, error) {
	ln, err := listen(addr, key)
	if err != nil {
		return nil, err
	}
	return &front{
		name: name, addr: ln.Addr(), close: ln.Close,
		serve: func(ctx context.Context) error { return serve(ctx, ln) },
	}, nil
}
