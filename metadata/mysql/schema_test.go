package mysql_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// exec runs statements in a database, beside the code under test.
func exec(t testing.TB, database, statements string) {
	t.Helper()
	if _, err := shared.server.DB.ExecContext(t.Context(), "USE "+database+"; "+statements); err != nil {
		t.Fatal(err)
	}
}

// ask gives rows as lines of text.
func ask(t testing.TB, query string, args ...any) (lines []string) {
	t.Helper()
	rows, err := shared.conn.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		cells := make([]*string, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		words := make([]string, len(cells))
		for i, c := range cells {
			words[i] = "NULL"
			if c != nil {
				words[i] = *c
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// made is a database with the tables.
func made(t testing.TB) string {
	t.Helper()
	name := shared.server.Database(t)
	exec(t, name, mysql.Schema)
	return name
}

// wantError demands an error that is want and says all words.
func wantError(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// The tables are those of PROTOCOLS.md, "Catalogue schema".
func TestSchema(t *testing.T) {
	name := made(t)
	f := func(what, query string, want ...string) {
		t.Helper()
		if got := ask(t, query, name); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f("columns", `SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns
		WHERE table_schema = ? ORDER BY table_name, ordinal_position`,
		"blob_ id bigint(20) unsigned NO", "blob_ hash char(96) NO", "blob_ is_stored tinyint(1) NO",
		"blob_ length bigint(20) unsigned YES", "blob_ last_accessed_at timestamp YES",
		"blocked hash char(96) NO",
		"stream id bigint(20) unsigned NO", "stream hash char(96) NO", "stream sd_blob_id bigint(20) unsigned NO",
		"stream last_accessed_at timestamp YES",
		"stream_blob stream_id bigint(20) unsigned NO", "stream_blob blob_id bigint(20) unsigned NO", "stream_blob num int(11) NO")
	f("keys", `SELECT table_name, GROUP_CONCAT(column_name ORDER BY seq_in_index), non_unique FROM information_schema.statistics
		WHERE table_schema = ? GROUP BY table_name, index_name ORDER BY 1, 3, 2`,
		"blob_ hash 0", "blob_ id 0", "blob_ is_stored 1", "blob_ last_accessed_at 1",
		"blocked hash 0",
		"stream hash 0", "stream id 0", "stream last_accessed_at 1", "stream sd_blob_id 1",
		"stream_blob stream_id,blob_id 0", "stream_blob blob_id 1")
	f("foreign keys", `SELECT k.table_name, k.column_name, k.referenced_table_name, k.referenced_column_name, c.delete_rule
		FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints c
		ON c.constraint_schema = k.table_schema AND c.constraint_name = k.constraint_name
		WHERE k.table_schema = ? ORDER BY 1, 2`,
		"stream sd_blob_id blob_ id RESTRICT", "stream_blob blob_id blob_ id CASCADE", "stream_blob stream_id stream id CASCADE")
}

func TestMissingTables(t *testing.T) {
	name := shared.server.Database(t)
	o := options(shared.server, name)
	o.Tracking = metadata.TrackBlobs
	c := open(t, o)
	defer c.Close()
	wantError(t, c.Check(t.Context()), metadata.ErrSchema, "blob_", "create_schema: true", "prism schema | mysql", name)
	metadatatest.Every(t, t.Context(), c, metadata.ErrSchema)
	if got := ask(t, "SHOW TABLES FROM "+name); len(got) > 0 {
		t.Errorf("tables %v were made", got)
	}
	// Once they are there, it goes on without a restart; and again without, when somebody drops them.
	exec(t, name, mysql.Schema)
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	exec(t, name, "DROP TABLE blocked")
	wantError(t, c.Block(t.Context(), metadatatest.Hashes("x", 1)), metadata.ErrSchema, "blocked", "create_schema")

	o.CreateSchema = true
	c2 := open(t, o)
	defer c2.Close()
	if err := c2.Block(t.Context(), metadatatest.Hashes("x", 1)); err != nil {
		t.Errorf("create_schema: %v", err)
	}
	exec(t, name, "DROP TABLE blocked")
	wantError(t, c2.Block(t.Context(), metadatatest.Hashes("x", 1)), metadata.ErrSchema)
	if err := c2.Block(t.Context(), metadatatest.Hashes("x", 1)); err != nil {
		t.Errorf("create_schema, after a table was dropped: %v", err)
	}

	o.Database = "no_such_database"
	c3 := open(t, o)
	defer c3.Close()
	wantError(t, c3.Check(t.Context()), metadata.ErrSchema, "no_such_database")
}

// BAD-INPUTS 88: what a level of tracking does not need may be missing.
func TestMissingColumns(t *testing.T) {
	f := func(tracking metadata.Tracking, alter string, want error, words ...string) {
		t.Helper()
		name := made(t)
		exec(t, name, alter)
		o := options(shared.server, name)
		o.Tracking = tracking
		c := open(t, o)
		defer c.Close()
		if want != nil {
			wantError(t, c.Check(t.Context()), want, words...)
			return
		}
		sd := metadatatest.Blobs(9, noon(), metadatatest.Hash("sd"))
		if err := errors.Join(c.Check(t.Context()), c.PutBlobs(t.Context(), sd),
			c.PutStream(t.Context(), sd[0], metadatatest.Stream("x", metadatatest.Hashes("y", 3)...)),
			c.Touch(t.Context(), []metadata.Access{{Hash: sd[0].Hash}}),
			c.Walk(t.Context(), sd[0].Hash, func(metadata.Row) error { return nil }),
			c.Delete(t.Context(), metadatatest.Hashes("y", 1))); err != nil {
			t.Errorf("tracking %d after %s: %v", tracking, alter, err)
		}
	}
	const blobs, streams = "ALTER TABLE blob_ DROP COLUMN last_accessed_at;", "ALTER TABLE stream DROP COLUMN last_accessed_at;"
	f(metadata.TrackNone, blobs+streams, nil)
	f(metadata.TrackStreams, blobs, nil)
	f(metadata.TrackBlobs, streams, nil)
	f(metadata.TrackStreams, streams, metadata.ErrSchema, "table stream", "last_accessed_at", "ALTER TABLE stream ADD COLUMN")
	f(metadata.TrackBlobs, blobs, metadata.ErrSchema, "table blob_", "last_accessed_at", "ALTER TABLE blob_ ADD COLUMN")
	f(metadata.TrackNone, "ALTER TABLE blob_ DROP COLUMN length", metadata.ErrSchema, "column length")
	f(metadata.TrackNone, "ALTER TABLE stream_blob DROP COLUMN num", metadata.ErrSchema, "column num")
	f(metadata.TrackNone, "ALTER TABLE blob_ DROP KEY blob_hash_idx, ADD KEY (hash)", metadata.ErrSchema, "unique key", "ALTER TABLE blob_")
	f(metadata.TrackNone, "ALTER TABLE blob_ DROP KEY blob_hash_idx, ADD UNIQUE KEY (hash(50))", metadata.ErrSchema, "unique key")
	f(metadata.TrackNone, "ALTER TABLE blob_ DROP KEY blob_hash_idx, ADD UNIQUE KEY (hash, length)", metadata.ErrSchema, "unique key")
}

// TestBlockedAgain demands that what is blocked already is not written again.
func TestBlockedAgain(t *testing.T) {
	database := shared.server.Database(t)
	o := options(shared.server, database)
	o.CreateSchema = true
	c := open(t, o)
	defer c.Close()
	hashes := metadatatest.Hashes("again", 100)
	block := func() {
		t.Helper()
		if err := c.Block(t.Context(), hashes); err != nil {
			t.Fatal(err)
		}
	}
	block()
	if _, err := shared.server.DB.ExecContext(t.Context(), "CREATE TRIGGER "+database+".no_insert BEFORE INSERT ON "+database+
		".blocked FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a row was written'"); err != nil {
		t.Fatal(err)
	}
	block()
	hashes = append(hashes, metadatatest.Hash("new"))
	if err := c.Block(t.Context(), hashes); err == nil {
		t.Error("a new hash was not written")
	}
}
