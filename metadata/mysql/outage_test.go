package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// own starts a server for one test, and opens a catalogue there with the tables.
func own(t *testing.T, args ...string) (*testbed.MariaDBServer, *mysql.Catalogue) {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	s := testbed.MariaDB(t, testbed.MariaDBOptions{Args: args})
	o := options(s, s.Database(t))
	o.CreateSchema, o.Tracking, o.Timeout = true, metadata.TrackBlobs, 20*time.Second
	c := open(t, o)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// put notes some blobs of a name.
func put(t *testing.T, c metadata.Catalogue, name string) error {
	return c.PutBlobs(t.Context(), metadatatest.Blobs(9, noon(), metadatatest.Hashes(name, 10)...))
}

// wantPut demands that the blobs of names are stored.
func wantPut(t *testing.T, c metadata.Catalogue, names ...string) {
	t.Helper()
	for _, n := range names {
		stored, err := c.Stored(t.Context(), metadatatest.Hashes(n, 10))
		must(t, err)
		for _, is := range stored {
			if !is {
				t.Errorf("a blob of %s is lost", n)
			}
		}
	}
}

// A server that is stopped fails calls at once and says why; connections of before do not fail those of after.
func TestStoppedAndRestarted(t *testing.T) {
	s, c := own(t)
	var wg sync.WaitGroup
	for i := range 8 { // so that there are several connections
		wg.Go(func() {
			if err := put(t, c, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, s.Stop())
	start := time.Now()
	metadatatest.Every(t, t.Context(), c, metadata.ErrUnavailable)
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it took %v to hear that nobody listens", took)
	}
	wantError(t, put(t, c, "stopped"), metadata.ErrUnavailable, "is the server running", s.Host)
	must(t, s.Start(t.Context()))
	must(t, put(t, c, "a"))
	wantPut(t, c, "a", "0", "7")
	must(t, s.Stop(), s.Start(t.Context()))
	must(t, put(t, c, "b"))
	wantPut(t, c, "a", "b")
}

// A program starts without its database, and uses it once it is there.
func TestStartedWithout(t *testing.T) {
	s, first := own(t)
	must(t, first.Close(), s.Stop())
	o := options(s, "prism_1")
	c := open(t, o)
	defer c.Close()
	wantError(t, put(t, c, "x"), metadata.ErrUnavailable)
	must(t, s.Start(t.Context()), put(t, c, "x"))
	wantPut(t, c, "x")
}

// A server that stands still holds up no call beyond its context, whether it has a connection or needs one; without a
// context it is the time for a batch.
func TestFrozen(t *testing.T) {
	s, c := own(t)
	must(t, put(t, c, "before"))
	must(t, s.Freeze())
	o := options(s, "prism_1")
	o.Tracking, o.Timeout = metadata.TrackBlobs, 300*time.Millisecond
	fresh := open(t, o)
	defer fresh.Close()
	for _, catalogue := range []*mysql.Catalogue{c, fresh} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		metadatatest.Every(t, ctx, catalogue, metadata.ErrUnavailable, context.DeadlineExceeded)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("calls with 200 ms took %v", took)
		}
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		timer := time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := catalogue.Status(ctx, blob.Hash{}); !errors.Is(err, context.Canceled) || errors.Is(err, metadata.ErrUnavailable) {
			t.Errorf("Status whose caller leaves: %v", err)
		}
		timer.Stop()
		cancel()
	}
	start := time.Now()
	wantError(t, put(t, fresh, "frozen"), metadata.ErrUnavailable, "did not answer within 300ms")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("a call without a deadline took %v", took)
	}
	must(t, s.Thaw())
	must(t, put(t, c, "after"))
	wantPut(t, c, "before", "after")
}

// A server that is killed amidst transactions has what was acknowledged, and no stream by halves.
func TestKilledInTransactions(t *testing.T) {
	s, c := own(t)
	const writers, rounds, enough = 4, 3, 8
	acknowledged := make([]int, writers) // streams of each writer, over all rounds
	for round := range rounds {
		var wg sync.WaitGroup
		ready := make(chan struct{}, writers)
		ctx, cancel := context.WithCancel(t.Context())
		for w := range writers {
			wg.Go(func() {
				for n := 0; ; n++ {
					if n == enough {
						ready <- struct{}{}
					}
					name := fmt.Sprintf("%d %d", w, acknowledged[w])
					sd := metadatatest.Blobs(9, noon(), metadatatest.Hash("sd "+name))[0]
					if c.PutStream(ctx, sd, metadatatest.Stream(name, metadatatest.Hashes(name, 200)...)) != nil {
						return
					}
					acknowledged[w]++
				}
			})
		}
		for range writers {
			<-ready
		}
		s.Kill()
		cancel()
		wg.Wait()
		must(t, s.Start(t.Context()))
		for w := range writers {
			for n := range acknowledged[w] + 2 {
				name := fmt.Sprintf("%d %d", w, n)
				missing, known, err := c.Missing(t.Context(), metadatatest.Hash("sd "+name))
				must(t, err)
				if known && len(missing) != 200 || !known && n < acknowledged[w] {
					t.Errorf("round %d: stream %s, where %d were acknowledged: known %v, with %d blobs",
						round, name, acknowledged[w], known, len(missing))
				}
			}
		}
	}
}

// A user who may not, a password that is wrong, and a server that takes no writes are told apart.
func TestRefusals(t *testing.T) {
	s, c := own(t)
	must(t, put(t, c, "a"))
	admin := func(statement string) {
		t.Helper()
		if _, err := s.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user, password string) *mysql.Catalogue {
		o := options(s, "prism_1")
		o.User, o.Password, o.Tracking = user, password, metadata.TrackBlobs
		c := open(t, o)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	admin("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'p'; GRANT SELECT ON prism_1.* TO reader@'127.0.0.1';" +
		"CREATE USER nobody@'127.0.0.1' IDENTIFIED BY 'p'; GRANT USAGE ON *.* TO nobody@'127.0.0.1';" +
		"CREATE USER stranger@'127.0.0.1' IDENTIFIED BY 'p'; GRANT SELECT ON prism_1.blob_ TO stranger@'127.0.0.1';" +
		"CREATE USER writer@'127.0.0.1' IDENTIFIED BY 'p'; GRANT SELECT, INSERT, UPDATE, DELETE ON prism_1.* TO writer@'127.0.0.1';")
	metadatatest.Every(t, t.Context(), as("reader", "wrong"), metadata.ErrDenied)
	metadatatest.Every(t, t.Context(), as("nobody", "p"), metadata.ErrDenied)
	wantError(t, as("unknown", "").Check(t.Context()), metadata.ErrDenied, "check user and password")
	wantError(t, as("stranger", "p").Check(t.Context()), metadata.ErrDenied, "grant the user")
	reader := as("reader", "p")
	wantPut(t, reader, "a")
	wantError(t, put(t, reader, "b"), metadata.ErrDenied, "INSERT")
	wantError(t, reader.Delete(t.Context(), metadatatest.Hashes("a", 1)), metadata.ErrDenied)

	writer := as("writer", "p")
	must(t, put(t, writer, "b"))
	admin("SET GLOBAL read_only = 1")
	wantError(t, put(t, writer, "c"), metadata.ErrReadOnly, "takes writes")
	wantPut(t, writer, "a", "b")
	admin("SET GLOBAL read_only = 0")
	must(t, put(t, writer, "c"))

	admin("CREATE USER maker@'127.0.0.1' IDENTIFIED BY 'p'; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, REFERENCES ON made.* TO maker@'127.0.0.1';" +
		"CREATE DATABASE made")
	o := options(s, "made")
	o.User, o.Password, o.CreateSchema = "maker", "p", true
	maker := open(t, o)
	defer maker.Close()
	must(t, put(t, maker, "a"))

	// KILL from outside ends one connection, or one statement, and no call.
	for _, kill := range []string{"CONNECTION", "QUERY"} {
		tx, err := s.DB.BeginTx(t.Context(), nil)
		must(t, err)
		_, err = tx.ExecContext(t.Context(), "SELECT * FROM prism_1.blob_ FOR UPDATE")
		must(t, err)
		result := make(chan error)
		go func() { result <- put(t, writer, "a") }()
		var id int
		for deadline := time.Now().Add(20 * time.Second); id == 0; {
			_ = s.DB.QueryRowContext(t.Context(), "SELECT id FROM information_schema.processlist "+
				"WHERE user = 'writer' AND info LIKE 'INSERT%'").Scan(&id)
			if time.Now().After(deadline) {
				t.Fatal("no statement waits for the lock")
			}
		}
		admin(fmt.Sprintf("KILL %s %d", kill, id))
		must(t, tx.Rollback())
		if err := <-result; err != nil {
			t.Errorf("KILL %s: %v", kill, err)
		}
	}
	wantPut(t, writer, "a", "b", "c")
}

// A database that is full fails writes and says what to look at; what was acknowledged stays, and it goes on once there is
// room.
func TestFull(t *testing.T) {
	full := []string{"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:16M"}
	s, c := own(t, full...)
	var names []string
	for i := 0; ; i++ {
		name := fmt.Sprint("full ", i)
		err := c.PutBlobs(t.Context(), metadatatest.Blobs(9, noon(), metadatatest.Hashes(name, 2000)...))
		if err != nil {
			wantError(t, err, metadata.ErrUnavailable, "disk")
			break
		}
		if names = append(names, name); len(names) > 200 {
			t.Fatal("it never was full")
		}
	}
	if len(names) == 0 {
		t.Fatal("it was full from the start")
	}
	wantAll := func() {
		t.Helper()
		n, err := c.Count(t.Context())
		must(t, err)
		if n != int64(2000*len(names)) {
			t.Errorf("%d rows, want those of %d batches of 2000", n, len(names))
		}
		wantPut(t, c, names...)
	}
	wantAll()
	must(t, s.Stop())
	s.Args = []string{"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend"}
	must(t, s.Start(t.Context()))
	wantAll()
	must(t, c.PutBlobs(t.Context(), metadatatest.Blobs(9, noon(), metadatatest.Hashes("room", 2000)...)))
	names = append(names, "room")
	wantAll()
}
