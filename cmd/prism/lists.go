package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/config"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/stores"
)

// deleteTimeout bounds the deletion of one blocked blob. What is noted of many at once is bounded by the catalogue.
const deleteTimeout = 30 * time.Second

// stateDir is the folder of the lists' states: beside the configuration, unless it says otherwise.
func stateDir(c *config.Config, command string) string {
	if c.Lists.StateDir != "" {
		return c.Lists.StateDir
	}
	return filepath.Join(filepath.Dir(c.File), "."+command+"-lists")
}

// openLists starts to keep the lists that are wanted. closeLists ends that, after an error too.
func (p *program) openLists() error {
	conf := &p.plan.config.Lists
	common := lists.Options{Dir: stateDir(p.plan.config, p.command), Logger: p.log}
	if conf.Protected.Enabled {
		o := lists.ProtectedOptions{
			Options: common, Closed: conf.Protected.OnFailure == config.OnFailureClosed, MaxAge: conf.Protected.MaxAge,
		}
		o.URL, o.Interval = conf.Protected.URL, conf.Protected.Interval
		protected, err := lists.OpenProtected(o)
		if err != nil {
			return configError{err}
		}
		p.protected, p.sources.Protected = protected, protected
	}
	if conf.Blocklist.Enabled && !p.noBlocklist {
		o := lists.BlocklistOptions{Options: common, Hubs: conf.Blocklist.Hubs, Apply: blockIn(p.plan.tree.Store(), conf.Blocklist.Delete)}
		o.URL, o.Interval = conf.Blocklist.URL, conf.Blocklist.Interval
		blocked, err := lists.OpenBlocklist(o)
		if err != nil {
			return configError{err}
		}
		p.blocked, p.sources.Blocked = blocked, blocked
	}
	return nil
}

func (p *program) closeLists() {
	if p.protected != nil {
		p.protected.Close()
	}
	if p.blocked != nil {
		p.blocked.Close()
	}
}

// gate is what the lists say of who may have a blob. No token opens anything where token is empty.
func (p *program) gate(token string) *httpd.TokenGate {
	g := &httpd.TokenGate{Token: token}
	if p.protected != nil {
		g.Protected = p.protected.Contains
	}
	if p.blocked != nil && !p.plan.config.Lists.Blocklist.Serve {
		g.Withheld = p.blocked.Contains
	}
	return g
}

// blockIn is what is done with blocked hashes in a store, or nil for nothing.
func blockIn(store stores.Store, deletes bool) func(context.Context, []blob.Hash) error {
	blocker, blocks := stores.As[stores.Blocker](store)
	if !blocks && !deletes {
		return nil
	}
	return func(ctx context.Context, hashes []blob.Hash) error {
		if blocks {
			if err := blocker.Block(ctx, hashes); err != nil {
				return err
			}
		}
		if !deletes {
			return nil
		}
		for _, h := range hashes {
			if err := deleteBlocked(ctx, store, h); err != nil {
				return err
			}
		}
		return nil
	}
}

func deleteBlocked(ctx context.Context, store stores.Store, h blob.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	if err := supported(store.Delete(ctx, h)); err != nil {
		return fmt.Errorf("delete %s: %w", h.Short(), err)
	}
	return nil
}

// supported is err without the parts that say that a store only reads, as the origin of a cache does.
func supported(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // joined errors are looked at one by one
		var left []error
		for _, e := range many.Unwrap() {
			left = append(left, supported(e))
		}
		if errors.Is(err, errors.ErrUnsupported) {
			return errors.Join(left...)
		}
		return err
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
