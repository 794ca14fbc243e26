package crashtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/internal/testbed"
)

// TestCatalogue is TestReceipts over stores with a catalogue on MariaDB, which is killed too: before the reflector, with
// it, not, or alone. What has a receipt has its bytes, as there, and its committed row; every stream is whole, or what it
// lacks is listed as needed. A reflector that lives on serves meanwhile, and comes to agree with the catalogue by itself.
func TestCatalogue(t *testing.T) {
	s := seed(t)
	over := func(database *testbed.MariaDBServer, name, sync, store string) string {
		return fmt.Sprintf("{proxied-s3: {writer: {db_backed: {host: %s, port: %d, user: %s, password: %q, database: %s, create_schema: true, "+
			"access_tracking: 2, sync: %s, store: %s}}}}", database.Host, database.Port, database.User, database.Password, name, sync, store)
	}
	t.Run("write_through over s3", func(t *testing.T) {
		database := testbed.MariaDB(t, testbed.MariaDBOptions{})
		name := database.Database(t)
		c := newCataloguer(t, s, database, name, over(database, name, "write_through", s3Store(testbed.S3(t))))
		c.refuses = true
		c.run()
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
	kinds    []int  // of kill, to come
	killed   [4]int // by kind: the program alone, the server before it, both at once, the server alone
}

func newCataloguer(t *testing.T, seed uint64, server *testbed.MariaDBServer, database, store string) *cataloguer {
	c := &cataloguer{keeper: newKeeper(t, seed, store), server: server, database: database}
	c.kill, c.recheck = c.killSome, c.rows
	return c
}

// killSome kills the program, or the server, or both, and starts the server again. All kinds come before one comes again.
func (c *cataloguer) killSome(p *node, end func()) (livesOn bool) {
	if len(c.kinds) == 0 {
		c.kinds = c.rng.Perm(len(c.killed))
	}
	how := c.kinds[0]
	c.kinds = c.kinds[1:]
	c.killed[how]++
	if how == 3 {
		c.outage(p)
		end()
		return true
	}
	end()
	if how == 0 {
		p.Kill()
		return false
	}
	c.server.Kill()
	if how == 1 {
		<-time.After(time.Duration(c.rng.Int64N(int64(300 * time.Millisecond)))) // the moment is what is random
	}
	p.Kill()
	c.startServer()
	return false
}

// outage kills the server alone, under load, and starts it again. Reads must not notice, and the program must take
// uploads again by itself.
func (c *cataloguer) outage(p *node) {
	c.outages.Add(1)
	defer c.outages.Add(1)
	c.server.Kill()
	<-time.After(time.Duration(c.rng.Int64N(int64(time.Second)))) // the load goes on
	c.startServer()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := reflectclient.Dial(c.t.Context(), p.receiver, reflectclient.Options{})
		if err != nil {
			c.t.Fatal(err)
		}
		err = c.uploadOne(conn, c.choose(c.rng))
		_ = conn.Close()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the program takes no uploads a minute after MariaDB is back: %v", err)
		}
	}
}

func (c *cataloguer) startServer() {
	c.t.Helper()
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
			c.t.Logf("all %d promised blobs have rows; the program was killed %d times alone, %d times after MariaDB, "+
				"%d times with it; MariaDB was killed %d times alone",
				len(c.promised), c.killed[0], c.killed[1], c.killed[2], c.killed[3])
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
	for i, h := range c.promised {
		if !stored[h.String()] {
			numbers = append(numbers, i)
		}
	}
	return numbers, rows.Err()
}
