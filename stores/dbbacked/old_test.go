package dbbacked_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata/mysql"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// TestOldCache takes over a database and a folder as older servers left them: lengths that are none, times long ago, a
// row without a file, a file without a row, a file that was cut. What is right is served and left as it is, from the first
// start on, and the rest comes to agree.
func TestOldCache(t *testing.T) {
	leaktest.Check(t)
	server := testbed.MariaDB(t, testbed.MariaDBOptions{})
	name, mount := server.Database(t), t.TempDir()
	statements := strings.Split(mysql.Schema, ";")
	var good []blob.Verified
	for i := range 40 {
		v := storetest.Blob(t, uint64(i), 1000+i)
		good = append(good, v)
		plantFile(t, mount, v.Hash(), v.Bytes())
		statements = append(statements, insert(v.Hash()))
	}
	stray, cut, lost := storetest.Blob(t, 100, 900), storetest.Blob(t, 101, 900), storetest.Blob(t, 102, 900)
	plantFile(t, mount, stray.Hash(), stray.Bytes())
	plantFile(t, mount, cut.Hash(), cut.Bytes()[:500])
	statements = append(statements, insert(cut.Hash()), insert(lost.Hash()))
	conn, err := server.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append([]string{"USE " + name}, statements...) {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	before := dump(t, server, name, good)

	d := openDisk(t, disk.Options{MountPoint: mount, ShardingSize: 2, HasShardingSize: true})
	cat := openMariaDB(t, server, name)
	s := openStore(t, dbbacked.Options{Store: d, Catalogue: cat, Sync: dbbacked.WriteBehind})
	agree(t, d, cat)
	eventually(t, "the comparison", func() bool { st := s.Stats(); return st.Journal.Whole && st.Journal.Entries == 0 })
	if after := dump(t, server, name, good); after != before {
		t.Errorf("rows were changed:\n%s\nbefore:\n%s", after, before)
	}
	for _, v := range append(good, stray) {
		hit(t, s, v.Hash())
		if !storedIn(t, cat, v.Hash()) {
			t.Errorf("%s has no row", v.Hash().Short())
		}
	}
	for _, v := range good {
		if data, err := os.ReadFile(filepath.Join(mount, v.Hash().String()[:2], v.Hash().String())); err != nil || string(data) != string(v.Bytes()) {
			t.Errorf("a file was changed: %v", err)
		}
	}
	if h, err := s.Get(t.Context(), cut.Hash()); err == nil {
		h.Release()
		t.Error("a file that was cut is served")
	}
	agree(t, d, cat)
	for _, v := range []blob.Verified{cut, lost} {
		if storedIn(t, cat, v.Hash()) {
			t.Errorf("%s has a row and no bytes", v.Hash().Short())
		}
	}
}

// plantFile puts bytes where an older server has a blob.
func plantFile(t *testing.T, mount string, h blob.Hash, data []byte) {
	t.Helper()
	path := filepath.Join(mount, h.String()[:2], h.String())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// insert is the row that an older server has of a blob.
func insert(h blob.Hash) string {
	return fmt.Sprintf("INSERT INTO blob_ (hash, is_stored, length, last_accessed_at) VALUES ('%s', 1, 2097152, '2021-03-04 05:06:07')", h)
}

// dump is the rows of some blobs.
func dump(t *testing.T, server *testbed.MariaDBServer, database string, of []blob.Verified) string {
	t.Helper()
	var text strings.Builder
	for _, v := range of {
		var id, stored, length int64
		var at string
		row := server.DB.QueryRowContext(t.Context(), "SELECT id, is_stored, length, CAST(last_accessed_at AS CHAR) FROM "+database+
			".blob_ WHERE hash = ?", v.Hash().String())
		if err := row.Scan(&id, &stored, &length, &at); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&text, v.Hash().Short(), id, stored, length, at)
	}
	return text.String()
}
