package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"

	"github.com/OdyseeTeam/prism/metadata"
)

// Catalogue is a catalogue in a MySQL or MariaDB.
type Catalogue struct {
	opts   Options
	db     *sql.DB
	tables atomic.Pointer[tables] // nil until they were looked at
	calls  metadata.Calls
}

var _ metadata.Catalogue = (*Catalogue)(nil)

// New makes a catalogue and connects to nothing. Errors: metadata.ErrOptions.
func New(o Options) (*Catalogue, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	cfg, err := o.driver()
	if err != nil {
		return nil, err
	}
	inner, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", metadata.ErrOptions, err)
	}
	c := &Catalogue{opts: o, db: sql.OpenDB(connector{inner})}
	c.db.SetMaxOpenConns(o.MaxConns)
	c.db.SetMaxIdleConns(o.MaxConns)
	c.db.SetConnMaxLifetime(o.Lifetime)
	return c, nil
}

// Check connects, and looks at the tables, which it makes where they are missing and CreateSchema says so. Every other
// call does it too, when it was not done yet.
func (c *Catalogue) Check(ctx context.Context) error {
	return c.run(ctx, "look at the tables", func(context.Context, *session) error { return nil })
}

// Close ends connections and waits for calls under way.
func (c *Catalogue) Close() error {
	c.calls.Close()
	if err := c.db.Close(); err != nil {
		return fmt.Errorf("close the catalogue %s: %w", c.opts.place(), err)
	}
	return nil
}

// connector makes connections with the isolation that transactions want. A statement says it, since the name of the
// variable differs from server to server.
type connector struct{ driver.Connector }

// Connect makes one connection.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	const isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, isolation, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}
