package mysql_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

func noon() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// looseTables are tables as others may have made them: no strictness in them, or in what fills them.
const looseTables = "SET SESSION sql_mode = ''; ALTER TABLE blob_ MODIFY hash CHAR(96) CHARACTER SET ascii COLLATE ascii_bin NULL, MODIFY length BIGINT NULL, MODIFY is_stored TINYINT NULL;"

func hexOf(name string) string { return metadatatest.Hash(name).String() }

// walk is all rows.
func walk(t *testing.T, c metadata.Catalogue) map[blob.Hash]metadata.Row {
	t.Helper()
	rows := map[blob.Hash]metadata.Row{}
	last := blob.Hash{}
	if err := c.Walk(t.Context(), blob.Hash{}, func(r metadata.Row) error {
		if strings.Compare(last.String(), r.Hash.String()) > 0 {
			t.Error("out of order")
		}
		last, rows[r.Hash] = r.Hash, r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

func stored(t *testing.T, c metadata.Catalogue, names ...string) []bool {
	t.Helper()
	var hashes []blob.Hash
	for _, n := range names {
		hashes = append(hashes, metadatatest.Hash(n))
	}
	got, err := c.Stored(t.Context(), hashes)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// BAD-INPUTS 81 to 83: rows that are wrong are passed over or taken as far as they make sense, and stay as they are.
func TestRowsOfOthers(t *testing.T) {
	name := made(t)
	upper := strings.ToUpper(hexOf("upper"))
	exec(t, name, looseTables+`INSERT INTO blob_ (hash, is_stored, length, last_accessed_at) VALUES
		(NULL, 1, 5, NULL), (NULL, 1, 5, NULL), ('', 1, 5, NULL), ('abc', 1, 5, NULL), ('`+strings.Repeat("g", 96)+`', 1, 5, NULL),
		('`+upper+`', 1, 5, NULL),
		('`+hexOf("no length")+`', 1, NULL, NULL), ('`+hexOf("zero")+`', 1, 0, '0000-00-00 00:00:00'),
		('`+hexOf("minus")+`', 1, -1, '2037-12-31 00:00:00'), ('`+hexOf("long")+`', 1, 3000000, NULL),
		('`+hexOf("two")+`', 2, 7, NULL), ('`+hexOf("null")+`', NULL, 7, NULL), ('`+hexOf("import")+`', 0, 2097152, NULL);
		INSERT INTO blocked VALUES ('');`)
	o := options(shared.server, name)
	o.Tracking = metadata.TrackBlobs
	c := open(t, o)
	defer c.Close()
	names := []string{"no length", "zero", "minus", "long", "upper", "two", "null", "import"}
	if got := stored(t, c, names...); !slices.Equal(got, []bool{true, true, true, true, false, false, false, false}) {
		t.Errorf("Stored = %v", got)
	}
	rows := walk(t, c)
	if len(rows) != 7 {
		t.Errorf("Walk gives %d rows", len(rows))
	}
	for _, n := range names[:4] {
		want := metadata.Row{Hash: metadatatest.Hash(n), Stored: true}
		if n == "minus" {
			want.Accessed = time.Date(2037, 12, 31, 0, 0, 0, 0, time.UTC)
		}
		if rows[want.Hash] != want {
			t.Errorf("%s: row %v", n, rows[want.Hash])
		}
	}
	if st, err := c.Status(t.Context(), blob.Hash{}); st.Blocked || err != nil {
		t.Errorf("the empty hash blocks: %v, %v", st, err)
	}

	// is_stored rises, length stays, a time that is none is replaced and one of the future is not.
	var blobs []metadata.Blob
	for _, n := range names {
		blobs = append(blobs, metadata.Blob{Hash: metadatatest.Hash(n), Length: 99, At: noon()})
	}
	if err := c.PutBlobs(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	f := func(n, want string) {
		t.Helper()
		if got := ask(t, "SELECT is_stored, length, last_accessed_at FROM "+name+".blob_ WHERE hash = ?", hexOf(n)); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: row %v, want %s", n, got, want)
		}
	}
	f("no length", "1 NULL 2026-06-01 12:00:00")
	f("zero", "1 0 2026-06-01 12:00:00")
	f("minus", "1 -1 2037-12-31 00:00:00")
	f("long", "1 3000000 2026-06-01 12:00:00")
	f("two", "1 7 2026-06-01 12:00:00")
	f("null", "1 7 2026-06-01 12:00:00")
	f("import", "1 2097152 2026-06-01 12:00:00")
	f("upper", "1 99 2026-06-01 12:00:00") // a row beside that in upper case, which is another hash here
	if err := c.Touch(t.Context(), []metadata.Access{{Hash: metadatatest.Hash("minus"), At: noon()}}); err != nil {
		t.Fatal(err)
	}
	f("minus", "1 -1 2037-12-31 00:00:00")
}

// Where the collation knows no case, a hash in upper case is that blob.
func TestOtherCollation(t *testing.T) {
	for _, collation := range []string{
		"latin1 COLLATE latin1_swedish_ci", "utf8mb4 COLLATE utf8mb4_unicode_ci", "utf8mb3 COLLATE utf8mb3_general_ci",
	} {
		t.Run(collation, func(t *testing.T) {
			name := made(t)
			for _, table := range []string{"blob_", "stream", "blocked"} {
				exec(t, name, "ALTER TABLE "+table+" MODIFY hash CHAR(96) CHARACTER SET "+collation+" NOT NULL")
			}
			exec(t, name, "INSERT INTO blob_ (hash, is_stored) VALUES ('"+strings.ToUpper(hexOf("upper"))+"', 1), ('"+
				strings.ToUpper(hexOf("content"))+"', 0), ('"+strings.Repeat("é", 96)+"', 1)")
			c := open(t, options(shared.server, name))
			defer c.Close()
			if got := stored(t, c, "upper", "content", "none"); !slices.Equal(got, []bool{true, false, false}) {
				t.Errorf("Stored = %v", got)
			}
			sd := metadatatest.Blobs(9, noon(), metadatatest.Hash("upper"))[0]
			desc := metadatatest.Stream("s", metadatatest.Hash("content"), metadatatest.Hash("new"))
			for range 2 {
				if err := c.PutStream(t.Context(), sd, desc); err != nil {
					t.Fatal(err)
				}
			}
			missing, known, err := c.Missing(t.Context(), sd.Hash)
			if err != nil || !known || !slices.Equal(missing, desc.Blobs) {
				t.Errorf("Missing = %v, %v, %v", missing, known, err)
			}
			if rows := walk(t, c); len(rows) != 3 || !rows[sd.Hash].Stored {
				t.Errorf("Walk gives %v", rows)
			}
			if err := c.Delete(t.Context(), []blob.Hash{sd.Hash}); err != nil {
				t.Error(err)
			}
			if got := ask(t, "SELECT COUNT(*) FROM "+name+".blob_"); got[0] != "3" { // with the one that is no hash
				t.Errorf("%s rows are left", got)
			}
		})
	}
}

// BAD-INPUTS 84 and what PROTOCOLS.md says to expect: streams with too few links, SD blobs without a stream, two streams
// of one SD blob, links to blobs that never had a hash.
func TestStreamsOfOthers(t *testing.T) {
	name := made(t)
	exec(t, name, "INSERT INTO blob_ (id, hash, is_stored) VALUES (1, '"+hexOf("sd")+"', 1), (2, '"+hexOf("bare")+"', 1), (3, '"+
		hexOf("c0")+"', 0), (4, '"+hexOf("c1")+"', 0), (5, 'odd', 0), (6, '"+hexOf("c2")+"', 0);"+
		"INSERT INTO stream (id, hash, sd_blob_id) VALUES (1, '"+hexOf("stream x")+"', 1), (2, 'other', 1);"+
		"INSERT INTO stream_blob VALUES (1, 4, 1), (1, 5, 5), (2, 4, 1), (2, 3, 0)")
	c := open(t, options(shared.server, name))
	defer c.Close()
	want := func(sd string, known bool, names ...string) {
		t.Helper()
		var hashes []blob.Hash
		for _, n := range names {
			hashes = append(hashes, metadatatest.Hash(n))
		}
		got, k, err := c.Missing(t.Context(), metadatatest.Hash(sd))
		if err != nil || k != known || !slices.Equal(got, hashes) {
			t.Errorf("Missing of %s = %v, %v, %v", sd, got, k, err)
		}
	}
	want("sd", true, "c0", "c1")
	want("bare", false)
	// The links that are missing come with the SD blob; those that are there stay.
	h := metadatatest.Hash
	if err := errors.Join(
		c.PutStream(t.Context(), metadata.Blob{Hash: h("sd"), Length: 9}, metadatatest.Stream("x", h("c0"), h("c1"), h("c2"))),
		c.PutStream(t.Context(), metadata.Blob{Hash: h("bare"), Length: 9}, metadatatest.Stream("bare", h("c2")))); err != nil {
		t.Fatal(err)
	}
	want("sd", true, "c0", "c1", "c2")
	want("bare", true, "c2")
	if got := ask(t, "SELECT * FROM "+name+".stream_blob WHERE stream_id < 3 ORDER BY 1, 2"); !slices.Equal(got,
		[]string{"1 3 0", "1 4 1", "1 5 5", "1 6 2", "2 3 0", "2 4 1"}) {
		t.Errorf("links %v", got)
	}
	// A hard delete of an SD blob takes both of its streams.
	if err := c.Delete(t.Context(), []blob.Hash{h("sd")}); err != nil {
		t.Fatal(err)
	}
	want("sd", false)
	if got := ask(t, "SELECT COUNT(*) FROM "+name+".stream"); got[0] != "1" {
		t.Errorf("%v streams are left", got)
	}
}

// Times are UTC text, whatever the zone of the session; an hour that it skips in spring is noted as the next.
func TestZones(t *testing.T) {
	s := testbed.MariaDB(t, testbed.MariaDBOptions{
		Env: []string{"TZ=CET-1CEST,M3.5.0,M10.5.0/3"}, Args: []string{"--sql-mode=STRICT_ALL_TABLES"},
	})
	for _, tracking := range []metadata.Tracking{metadata.TrackStreams, metadata.TrackBlobs} {
		o := options(s, s.Database(t))
		o.CreateSchema, o.Tracking = true, tracking
		c := open(t, o)
		defer c.Close()
		f := func(name string, at time.Time, want string) {
			t.Helper()
			sd := metadata.Blob{Hash: metadatatest.Hash(name), Length: 9, At: at}
			if err := c.PutStream(t.Context(), sd, metadatatest.Stream(name)); err != nil {
				t.Error(err)
				return
			}
			table := map[metadata.Tracking]string{metadata.TrackStreams: "stream", metadata.TrackBlobs: "blob_"}[tracking]
			var got string
			err := s.DB.QueryRowContext(t.Context(), "SELECT MAX(last_accessed_at) FROM "+o.Database+"."+table).Scan(&got)
			if err != nil || got != want {
				t.Errorf("noted %v as %s, %v, want %s", at, got, err, want)
			}
		}
		f("winter", time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), "2026-01-05 12:00:00")
		f("gap", time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC), "2026-03-29 03:30:00")
		f("summer", time.Date(2026, 7, 5, 12, 0, 0, 0, time.FixedZone("x", 7200)), "2026-07-05 10:00:00")
		f("twice", time.Date(2026, 10, 25, 2, 30, 0, 0, time.UTC), "2026-10-25 02:30:00")
		touched := metadata.Access{Hash: metadatatest.Hash("summer"), At: time.Date(2027, 3, 28, 2, 30, 0, 0, time.UTC)}
		if err := c.Touch(t.Context(), []metadata.Access{touched}); err != nil {
			t.Error(err)
		}
	}
}

// Batches fit into the shortest statement that a server may be set to.
func TestSmallPackets(t *testing.T) {
	s := testbed.MariaDB(t, testbed.MariaDBOptions{Args: []string{"--max-allowed-packet=1048576"}})
	o := options(s, s.Database(t))
	o.CreateSchema, o.Tracking = true, metadata.TrackBlobs
	c := open(t, o)
	defer c.Close()
	hashes := metadatatest.Hashes("small", metadata.BatchSize)
	put := func() error {
		return errors.Join(c.PutBlobs(t.Context(), metadatatest.Blobs(9, noon(), hashes...)),
			c.PutStream(t.Context(), metadatatest.Blobs(9, noon(), hashes[0])[0], metadatatest.Stream("s", hashes[1:]...)))
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	// It is made smaller while connections are open.
	if _, err := s.DB.ExecContext(t.Context(), "SET GLOBAL max_allowed_packet = 16384"); err != nil {
		t.Fatal(err)
	}
	small := open(t, o)
	defer small.Close()
	for _, catalogue := range []*mysql.Catalogue{c, small} {
		c = catalogue
		if err := put(); err != nil {
			t.Error(err)
		}
	}
	got, err := small.Stored(t.Context(), hashes)
	if err != nil || slices.Contains(got, false) {
		t.Errorf("not all are stored, %v", err)
	}
}
