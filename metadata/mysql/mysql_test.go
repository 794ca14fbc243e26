package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// shared is the server of the tests that do not disturb it. TestMain, which starts it, hands it on here.
var shared = struct {
	server *testbed.MariaDBServer
	conn   *sql.Conn // for questions, of which there are many
}{}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	s, err := testbed.StartMariaDB(context.Background(), testbed.MariaDBOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Close()
	shared.server = s
	if shared.conn, err = s.DB.Conn(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.conn.Close()
	return m.Run()
}

func TestConformance(t *testing.T) {
	metadatatest.Run(t, metadatatest.Config{New: func(t *testing.T) metadatatest.Place {
		o := options(shared.server, shared.server.Database(t))
		o.CreateSchema = true
		return metadatatest.Place{
			Open: func(t *testing.T, s metadatatest.Settings) metadata.Catalogue {
				o.Tracking, o.SoftDeletes = s.Tracking, s.SoftDeletes
				return open(t, o)
			},
			StreamAccessed: func(t *testing.T, _ metadata.Catalogue, sd blob.Hash) time.Time {
				return streamAccessed(t, o.Database, sd)
			},
		}
	}})
}

// options are those for a database of a server.
func options(s *testbed.MariaDBServer, database string) mysql.Options {
	return mysql.Options{User: s.User, Password: s.Password, Host: s.Host, Port: s.Port, Database: database}
}

func open(t testing.TB, o mysql.Options) *mysql.Catalogue {
	t.Helper()
	c, err := mysql.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func streamAccessed(t *testing.T, database string, sd blob.Hash) (at time.Time) {
	t.Helper()
	var text *string
	err := shared.conn.QueryRowContext(t.Context(), "SELECT s.last_accessed_at FROM "+database+".stream s JOIN "+database+
		".blob_ b ON b.id = s.sd_blob_id WHERE b.hash = ?", sd.String()).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	if text == nil {
		return at
	}
	if at, err = time.Parse(time.DateTime, *text); err != nil {
		t.Fatal(err)
	}
	return at
}
