package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// tables is what was found out about those of the database.
type tables struct {
	anyCase bool // hashes are compared without regard to case
	packet  int  // the longest statement that the server takes, in bytes
}

// column is one that a table must have.
type column struct{ table, name string }

// columns are those that the level of tracking needs.
func (c *Catalogue) columns() []column {
	need := []column{
		{"blob_", "id"}, {"blob_", "hash"}, {"blob_", "is_stored"}, {"blob_", "length"},
		{"stream", "id"}, {"stream", "hash"}, {"stream", "sd_blob_id"},
		{"stream_blob", "stream_id"}, {"stream_blob", "blob_id"}, {"stream_blob", "num"},
		{"blocked", "hash"},
	}
	switch c.opts.Tracking {
	case metadata.TrackStreams:
		need = append(need, column{"stream", "last_accessed_at"})
	case metadata.TrackBlobs:
		need = append(need, column{"blob_", "last_accessed_at"})
	}
	return need
}

// look looks at the tables, unless that was done.
func (c *Catalogue) look(ctx context.Context, s *session) (*tables, error) {
	if t := c.tables.Load(); t != nil {
		return t, nil
	}
	t, err := c.inspect(ctx, s)
	if c.opts.CreateSchema && errors.Is(err, errNoTable) {
		c.opts.Logger.Info("mysql: making the tables that are missing", "database", c.opts.place())
		for _, statement := range statements() {
			if _, err := s.exec(ctx, statement); err != nil {
				return nil, fmt.Errorf("make the tables: %w", err)
			}
		}
		t, err = c.inspect(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	c.tables.Store(t)
	return t, nil
}

// errNoTable is an ErrSchema that CreateSchema mends.
var errNoTable = fmt.Errorf("%w: a table is missing", metadata.ErrSchema)

// inspect asks the server which tables there are.
func (c *Catalogue) inspect(ctx context.Context, s *session) (*tables, error) {
	t := &tables{}
	have := map[column]bool{}
	known := map[string]bool{}
	err := s.query(ctx, "SELECT table_name, column_name, COALESCE(collation_name, '') FROM information_schema.columns "+
		"WHERE table_schema = DATABASE() AND table_name IN ('blob_', 'stream', 'stream_blob', 'blocked')", nil,
		func(rows *sql.Rows) error {
			var at column
			var collation string
			if err := rows.Scan(&at.table, &at.name, &collation); err != nil {
				return err
			}
			at.name = strings.ToLower(at.name)
			have[at], known[at.table] = true, true
			if at == (column{"blob_", "hash"}) {
				t.anyCase = strings.Contains(collation, "_ci")
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, need := range c.columns() {
		if !known[need.table] {
			return nil, c.noTable(ctx, s, need.table)
		}
		if !have[need] {
			return nil, c.noColumn(need)
		}
	}
	if err := c.unique(ctx, s); err != nil {
		return nil, err
	}
	return t, s.query(ctx, "SELECT @@max_allowed_packet", nil, func(rows *sql.Rows) error { return rows.Scan(&t.packet) })
}

// noTable is the error for a table that the user does not see. The server says why: it is not there, or there are no
// rights.
func (c *Catalogue) noTable(ctx context.Context, s *session, table string) error {
	err := s.query(ctx, "SELECT 1 FROM "+table+" LIMIT 0", nil, func(*sql.Rows) error { return nil })
	if err != nil && !errors.Is(c.judge(err).err, metadata.ErrSchema) {
		return err
	}
	return fmt.Errorf("%w: %s has no table %s: %s", errNoTable, c.opts.place(), table, makeTables)
}

// noColumn is the error for a column that is missing.
func (c *Catalogue) noColumn(at column) error {
	advice := "the table was made by something else: give prism a database of its own"
	if at.name == "last_accessed_at" {
		advice = fmt.Sprintf("set access_tracking to a level that needs none, or run: "+
			"ALTER TABLE %s ADD COLUMN last_accessed_at TIMESTAMP NULL DEFAULT NULL, ADD KEY (last_accessed_at)", at.table)
	}
	return fmt.Errorf("%w: table %s of %s has no column %s, which access_tracking %d needs: %s",
		metadata.ErrSchema, at.table, c.opts.place(), at.name, c.opts.Tracking, advice)
}

// unique demands the keys without which each write would add a row.
func (c *Catalogue) unique(ctx context.Context, s *session) error {
	keys := map[column]int{} // columns in each unique key that begins with a whole hash
	err := s.query(ctx, "SELECT table_name, index_name, COUNT(*) FROM information_schema.statistics "+
		"WHERE table_schema = DATABASE() AND non_unique = 0 GROUP BY table_name, index_name "+
		"HAVING COUNT(*) = 1 AND MAX(column_name) = 'hash' AND MAX(sub_part) IS NULL", nil,
		func(rows *sql.Rows) error {
			var key column
			var n int
			if err := rows.Scan(&key.table, &key.name, &n); err != nil {
				return err
			}
			keys[column{table: key.table}] = n
			return nil
		})
	if err != nil {
		return err
	}
	for _, table := range [...]string{"blob_", "stream", "blocked"} {
		if keys[column{table: table}] == 0 {
			return fmt.Errorf("%w: column hash of table %s in %s has no unique key: remove double rows and add one: ALTER TABLE %s ADD UNIQUE KEY (hash)",
				metadata.ErrSchema, table, c.opts.place(), table)
		}
	}
	return nil
}

// fit is how many rows go into one statement, where each takes that many bytes: at most most, and at least one.
func (t *tables) fit(bytes, most int) int {
	const around = 2000 // the statement itself, with room
	return max(1, min(most, (t.packet-around)/bytes))
}

// read reads a hash as the database gives it, if it is one.
func (t *tables) read(text string) (blob.Hash, bool) {
	if t.anyCase {
		text = strings.ToLower(text)
	}
	h, err := blob.ParseHash(text)
	return h, err == nil
}
