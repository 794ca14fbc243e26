package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metrics"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// program is a command that serves: its stores, its servers, and what it tells about itself.
type program struct {
	command     string
	metricsPort int
	noBlocklist bool // whatever the configuration says
	plan        *plan
	log         *slog.Logger
	sources     metrics.Sources

	blocked   *lists.Blocklist // nil: is not fetched
	protected *lists.Protected // nil: is not fetched
}

// prepare reads the configuration of a command and starts to log.
func prepare(command string, metricsPort int, flags *commandLine) (*program, error) {
	if err := checkPort("--metrics-port", metricsPort); err != nil {
		return nil, err
	}
	p, err := load(flags.ConfDir, command)
	if err != nil {
		printWarnings(os.Stderr, p.warnings)
		return nil, err
	}
	log := newLogger(os.Stderr, p.config.Log, flags.Verbose)
	slog.SetDefault(log)
	log.Info("prism "+command, "version", versionOf(), "config", p.config.File)
	for _, w := range p.warnings {
		log.Warn(w.Error())
	}
	return &program{command: command, metricsPort: metricsPort, plan: p, log: log}, nil
}

func checkPort(flag string, port int) error {
	if port < 1 || port > 65535 {
		return configError{fmt.Errorf("%s=%d is out of range; want 1 to 65535", flag, port)}
	}
	return nil
}

// run serves until a signal: from the opening of the stores to their closing. listenOn makes the servers; the stores
// are open then.
func (p *program) run(listenOn func(*program) ([]*front, error)) (err error) {
	ctx, stop := untilSignal(p.log)
	defer stop()
	begun := time.Now()
	tree := p.plan.tree
	if err := tree.Open(ctx, compose.Env{Logger: p.log}); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil // told to stop before there was anything to drain
		case badSettings(err):
			return configError{err}
		}
		return err
	}
	opened := time.Since(begun)
	closeStores := sync.OnceValue(tree.Close)
	defer func() {
		if cerr := closeStores(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("close the stores: %w", cerr))
		}
	}()
	p.sources = metrics.Sources{Tree: tree, Version: versionOf(), OpenTime: opened}
	defer p.closeLists()
	if err := p.openLists(); err != nil {
		return err
	}
	fronts, err := listenOn(p)
	if err != nil {
		return errors.Join(err, closeFronts(fronts))
	}
	metricsLn, err := listen(":"+strconv.Itoa(p.metricsPort), "--metrics-port")
	if err != nil {
		return errors.Join(err, closeFronts(fronts))
	}
	stopWatch := metrics.NewServer(p.sources, p.log).Start(metricsLn)
	defer stopWatch()
	var ready []any
	for _, f := range fronts {
		ready = append(ready, f.name, f.addr)
	}
	p.log.Info("ready", append(ready, "metrics", metricsLn.Addr(), "store", tree.Store().Name(), "open", opened)...)
	cut := func() {
		p.log.Warn("what the drain cut still waits for an origin; closing the stores")
		_ = closeStores() // its error is reported in the end
	}
	if err := serveAll(ctx, fronts, p.drainTimeout()+afterDrain, cut); err != nil {
		return err
	}
	p.log.Info("drained; closing the stores")
	return nil
}

// badSettings says whether stores did not open for settings that cannot be, of which only they know.
func badSettings(err error) bool {
	for _, target := range []error{disk.ErrOptions, engine.ErrOptions, dbbacked.ErrOptions, metadata.ErrOptions} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// front is a server that listens already.
type front struct {
	name  string
	addr  net.Addr
	serve func(context.Context) error // until the context ends, and the drain after it
	close func() error                // instead of serve
}

// closeFronts closes servers that never served.
func closeFronts(fronts []*front) error {
	var err error
	for _, f := range fronts {
		err = errors.Join(err, f.close())
	}
	return err
}

// afterDrain is how long servers may take to end what their drain has cut.
const afterDrain = time.Second

// serveAll serves until ctx ends, or until one of the servers fails, which ends the others. A server waits for its
// requests even when it has cut them, and a request that follows a blob on its way from an origin waits for that. So when
// servers are left after patience, cut is called once, which closes the stores: that ends the transfers, while what is
// whole stays good.
func serveAll(ctx context.Context, fronts []*front, patience time.Duration, cut func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(fronts))
	for _, f := range fronts {
		go func() {
			err := f.serve(ctx)
			cancel()
			results <- err
		}()
	}
	var err error
	stopping := ctx.Done()
	var late <-chan time.Time
	for left := len(fronts); left > 0; {
		select {
		case e := <-results:
			err = errors.Join(err, e)
			left--
		case <-stopping:
			stopping, late = nil, time.After(patience)
		case <-late:
			cut()
		}
	}
	return err
}

// listen listens on TCP. The error names the key to change.
func listen(addr, key string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, portTaken(key, err)
	}
	return ln, nil
}

func portTaken(key string, err error) error {
	return fmt.Errorf("%s: %w; choose another port, or stop the program that has it", key, err)
}
