package crashtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/testbed"
)

// TestCatalogue is TestReceipts over stores with a catalogue on MariaDB, which is killed too: before the reflector, with
// it, or not. What has a receipt has its bytes, as there, and its committed row; every stream is whole, or what it lacks
// is listed as needed.
func TestCatalogue(t *testing.T) {
	s := seed(t)
	over := func(database *testbed.MariaDBServer, name, sync, store string) string {
		return fmt.Sprintf("{proxied-s3: {writer: {db_backed: {host: %s, port: %d, user: %s, password: %q, database: %s, create_schema: true, "+
			"access_tracking: 2, sync: %s, store: %s}}}}", database.Host, database.Port, database.User, database.Password, name, sync, store)
	}
	t.Run("write_through over s3", func(t *testing.T) {
		database := testbed.MariaDB(t, testbed.MariaDBOptions{})
		name := database.Database(t)
		newCataloguer(t, s, database, name, over(database, name, "write_through", s3Store(testbed.S3(t)))).run()
	})
	t.Run("write_behind over disk", func(t *testing.T) {
		database := testbed.MariaDB(t, testbed.MariaDBOptions{})
		name, mount := database.Database(t), t.TempDir()
		c := newCataloguer(t, s, database, name, over(database, name, "write_behind", diskStore(mount)))
		c.run()
		t.Logf("checker: %s", checked(t, mount))
	})
}

// cataloguer is a keeper whose store has a catalogue.
type cataloguer struct {
	*keeper
	server   *testbed.MariaDBServer
	database string
	killed   [3]int // the program alone, the server before it, both at once
}

func newCataloguer(t *testing.T, seed uint64, server *testbed.MariaDBServer, database, store string) *cataloguer {
	c := &cataloguer{keeper: newKeeper(t, seed, store), server: server, database: database}
	c.kill, c.recheck = c.killSome, c.rows
	return c
}

// killSome kills the program, and mostly the server too, and starts the server again.
func (c *cataloguer) killSome(p *node) {
	how := c.rng.IntN(len(c.killed))
	c.killed[how]++
	switch how {
	case 0:
		p.Kill()
		return
	case 1:
		c.server.Kill()
		<-time.After(time.Duration(c.rng.Int64N(int64(300 * time.Millisecond)))) // the moment is what is random
		p.Kill()
	default:
		c.server.Kill()
		p.Kill()
	}
	if err := c.server.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// rows demands a committed row for every blob that was promised: at once, or soon where the catalogue is told behind.
func (c *cataloguer) rows() {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		lacking, err := c.lacking()
		if err != nil {
			c.t.Fatal(err)
		}
		if len(lacking) == 0 {
			c.t.Logf("all %d promised blobs have rows; the program was killed %d times alone, %d times after MariaDB, %d times with it",
				len(c.promised), c.killed[0], c.killed[1], c.killed[2])
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%d of %d promised blobs have no row, blob %d among them", len(lacking), len(c.promised), lacking[0])
		}
	}
}

// lacking are the numbers of the promised blobs that are not stored as the catalogue has it.
func (c *cataloguer) lacking() (numbers []int, err error) {
	rows, err := c.server.DB.QueryContext(c.t.Context(), "SELECT hash FROM "+c.database+".blob_ WHERE is_stored = 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	stored := map[string]bool{}
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			return nil, err
		}
		stored[hash] = true
	}
	for i := range c.promised {
		if !stored[c.blobs.verified(i).Hash().String()] {
			numbers = append(numbers, i)
		}
	}
	return numbers, rows.Err()
}
