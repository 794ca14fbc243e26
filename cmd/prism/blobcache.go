package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/OdyseeTeam/prism/engine"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	"github.com/OdyseeTeam/prism/metrics"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// blobcache is the blobcache command.
type blobcache struct {
	MetricsPort      int  `default:"2112" placeholder:"PORT" help:"Port for /metrics and /debug/pprof (2112)."`
	DisableBlocklist bool `help:"Do not fetch the list of blocked blobs. This version never does."`
}

// Run checks everything, opens the stores, listens, serves until a signal, and drains.
func (b blobcache) Run(flags *commandLine) error {
	if b.MetricsPort < 1 || b.MetricsPort > 65535 {
		return configError{fmt.Errorf("--metrics-port=%d is out of range; want 1 to 65535", b.MetricsPort)}
	}
	p, err := load(flags.ConfDir)
	if err != nil {
		printWarnings(os.Stderr, p.warnings)
		return err
	}
	log := newLogger(os.Stderr, p.config.Log, flags.Verbose)
	slog.SetDefault(log)
	log.Info("prism blobcache", "version", versionOf(), "config", p.config.File)
	for _, w := range p.warnings {
		log.Warn(w.Error())
	}
	log.Warn("this version has no lists of blocked and protected blobs; every blob is served to everybody")
	ctx, stop := untilSignal(log)
	defer stop()
	return b.serve(ctx, p, log)
}

// serve runs from the opening of the stores to their closing.
func (b blobcache) serve(ctx context.Context, p *plan, log *slog.Logger) (err error) {
	begun := time.Now()
	if err := p.tree.Open(ctx, compose.Env{Logger: log}); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil // told to stop before there was anything to drain
		case errors.Is(err, disk.ErrOptions), errors.Is(err, engine.ErrOptions):
			return configError{err} // settings that cannot be, of which only the disk knows
		}
		return err
	}
	opened := time.Since(begun)
	defer func() {
		if cerr := p.tree.Close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close the stores: %w", cerr))
		}
	}()
	conf := p.config.Servers.HTTP
	server, err := httpd.New(httpd.Options{
		Store:                 p.tree.Store(),
		Gate:                  &httpd.TokenGate{Token: conf.EdgeToken},
		Logger:                log,
		MaxConcurrentRequests: conf.MaxConcurrentRequests,
		MaxConnections:        conf.MaxConnections,
		MinRate:               conf.MinRate,
		DrainTimeout:          max(p.config.DrainTimeout, 1), // 0 would be the server's default
	})
	if err != nil {
		return err
	}
	ln, err := listen(conf.Addr(), fmt.Sprintf("%s: servers.http.port", conf.At.Position()))
	if err != nil {
		return err
	}
	metricsLn, err := listen(":"+strconv.Itoa(b.MetricsPort), "--metrics-port")
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	watch := metrics.NewServer(metrics.Sources{Tree: p.tree, HTTP: server, Version: versionOf(), OpenTime: opened}, log)
	stopWatch := watch.Start(metricsLn)
	defer stopWatch()
	log.Info("ready", "http", ln.Addr(), "metrics", metricsLn.Addr(), "store", p.tree.Store().Name(), "open", opened)
	if err := server.Serve(ctx, ln); err != nil {
		return err
	}
	log.Info("drained; closing the stores")
	return nil
}

// listen listens on TCP. The error names the key to change.
func listen(addr, key string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; choose another port, or stop the program that has it", key, err)
	}
	return ln, nil
}
