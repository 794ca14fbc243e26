package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// openCatalogue opens the catalogue of an upload's configuration, which is only asked what is stored. The caller closes
// it. It is nil where the configuration names none.
func openCatalogue(ctx context.Context, d *config.Database, log *slog.Logger) (metadata.Catalogue, error) {
	if d == nil {
		return nil, nil
	}
	c, err := openDatabase(d, log)
	if err == nil {
		// One question, so that an upload does not begin before it is known that the catalogue answers.
		if _, err = c.Stored(ctx, []blob.Hash{{}}); err != nil {
			err = errors.Join(err, c.Close())
		}
	}
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, metadata.ErrOptions):
		return nil, configError{fmt.Errorf("%s: %s: %w", d.At.Position(), d.At.Path(), err)}
	}
	return nil, fmt.Errorf("%s: %s: %w", d.At.Position(), d.At.Path(), err)
}

func openDatabase(d *config.Database, log *slog.Logger) (metadata.Catalogue, error) {
	tracking := metadata.Tracking(d.AccessTracking)
	if d.Path != "" {
		if _, err := os.Stat(d.Path); err != nil { // bolt would make an empty one, which knows nothing
			return nil, fmt.Errorf("there is no catalogue to ask: %w", err)
		}
		c, err := bolt.Open(bolt.Options{Path: d.Path, Tracking: tracking, SoftDeletes: true, Logger: log})
		if err != nil {
			return nil, fmt.Errorf("%w; where the store itself writes this file, leave database out", err)
		}
		return c, nil
	}
	return mysql.New(mysql.Options{
		User: d.User, Password: d.Password, Host: d.Host, Port: d.Port, Database: d.Name,
		Tracking: tracking, SoftDeletes: true, LogQueries: d.LogQueries, Logger: log,
	})
}
