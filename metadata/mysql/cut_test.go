package mysql_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
	"github.com/OdyseeTeam/prism/metadata/mysql"
)

// life is what happens to a stream and a blob of that name, step by step. Each step may be made again.
func life(t *testing.T, c metadata.Catalogue, name string) []func() error {
	sd, content, alone := metadatatest.Hash("sd "+name), metadatatest.Hashes(name, 3), metadatatest.Hash("alone "+name)
	later := noon().Add(24 * time.Hour)
	return []func() error{
		func() error { return c.PutBlobs(t.Context(), metadatatest.Blobs(9, noon(), alone, content[0])) },
		func() error {
			return c.PutStream(t.Context(), metadatatest.Blobs(9, noon(), sd)[0], metadatatest.Stream(name, content...))
		},
		func() error {
			return c.Touch(t.Context(), []metadata.Access{{Hash: content[0], At: later}, {Hash: alone, At: later.Add(time.Hour)}})
		},
		func() error { return c.Block(t.Context(), []blob.Hash{alone}) },
		func() error { return c.Delete(t.Context(), []blob.Hash{alone, content[1]}) },
		func() error {
			stored, err := c.Stored(t.Context(), append(slices.Clone(content), sd, alone))
			if err == nil && !slices.Equal(stored, []bool{true, false, false, true, false}) {
				err = fmt.Errorf("Stored = %v", stored)
			}
			return err
		},
	}
}

// wantLived demands the rows that are there after such a life.
func wantLived(t *testing.T, database, name, when string) {
	t.Helper()
	content := metadatatest.Hashes(name, 3)
	f := func(what, query string, args []any, want ...string) {
		t.Helper()
		if got := ask(t, query, args...); !slices.Equal(got, want) {
			t.Errorf("%s: %s %v, want %v", when, what, got, want)
		}
	}
	f("blobs", "SELECT CONCAT(is_stored, ' ', last_accessed_at) FROM "+database+".blob_ WHERE hash IN (?,?,?,?,?) ORDER BY 1",
		[]any{content[0].String(), content[1].String(), content[2].String(), hexOf("sd " + name), hexOf("alone " + name)},
		"0 2026-06-01 12:00:00", "0 2026-06-01 12:00:00", "1 2026-06-01 12:00:00", "1 2026-06-02 12:00:00")
	f("links", "SELECT sb.num FROM "+database+".stream s JOIN "+database+".stream_blob sb ON sb.stream_id = s.id WHERE s.hash = ? ORDER BY 1",
		[]any{metadatatest.Stream(name).StreamHash}, "0", "1", "2")
	f("blocked", "SELECT COUNT(*) FROM "+database+".blocked WHERE hash = ?", []any{hexOf("alone " + name)}, "1")
}

// A connection that breaks at any moment, before or after the server has done what it was asked, costs no call and changes
// no answer.
func TestCutAtEveryPacket(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	database := made(t)
	p := newProxy(t, net.JoinHostPort(shared.server.Host, strconv.Itoa(shared.server.Port)))
	for _, f := range []fault{cutBefore, cutAfter} {
		for n := 1; ; n++ {
			name := fmt.Sprintf("cut %d %d", f, n)
			o := options(shared.server, database)
			o.Port, o.Tracking = p.port(), metadata.TrackBlobs
			p.meet(n, f)
			c := open(t, o)
			for i, step := range life(t, c, name) {
				if err := step(); err != nil {
					t.Errorf("%s: step %d: %v", name, i, err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			wantLived(t, database, name, name)
			if t.Failed() {
				return
			}
			if !p.met() {
				if n < 15 {
					t.Errorf("a life is %d packets", n)
				}
				break
			}
		}
	}
}

// A server that falls silent at any moment costs no more than the time that there is; what is then made again is right.
func TestSilentAtEveryPacket(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	database := made(t)
	p := newProxy(t, net.JoinHostPort(shared.server.Host, strconv.Itoa(shared.server.Port)))
	quits := 0
	for n := 1; ; n++ {
		name := fmt.Sprintf("silent %d", n)
		o := options(shared.server, database)
		o.Port, o.Tracking, o.Timeout = p.port(), metadata.TrackBlobs, 100*time.Millisecond
		p.meet(n, stall)
		c := open(t, o)
		failed := 0
		for i, step := range life(t, c, name) {
			start := time.Now()
			for err := step(); err != nil; err = step() {
				failed++
				if !errors.Is(err, metadata.ErrUnavailable) || time.Since(start) > 20*time.Second {
					t.Fatalf("%s: step %d: %v", name, i, err)
				}
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wantLived(t, database, name, name)
		if !p.met() {
			return
		}
		if failed == 0 {
			if quits++; quits > 1 { // one packet says that the client leaves
				t.Fatalf("%s: no call failed", name)
			}
		}
	}
}

// Writers that meet in other orders than ours make deadlocks; no call fails for them.
func TestDeadlockStorm(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	database := made(t)
	hashes := metadatatest.Hashes("storm", 40)
	o := options(shared.server, database)
	o.Tracking = metadata.TrackBlobs
	c := open(t, o)
	defer c.Close()
	if err := c.PutBlobs(t.Context(), metadatatest.Blobs(9, noon(), hashes...)); err != nil {
		t.Fatal(err)
	}
	deadlocks := func() string { return ask(t, "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0] }
	before := deadlocks()
	var others sync.WaitGroup
	defer others.Wait()
	turns := make(chan struct{}, 2)
	defer close(turns)
	for range 2 { // other programs, which lock rows from the last to the first
		others.Go(func() {
			for range turns {
				backwards(t, database)
			}
		})
	}
	deadline := time.Now().Add(20 * time.Second)
	for i := 0; deadlocks() == before || i < 50; i++ {
		at := noon().Add(time.Duration(i) * 24 * time.Hour)
		content := metadatatest.Hashes("storm", 40)
		turns <- struct{}{}
		turns <- struct{}{}
		if err := errors.Join(c.PutBlobs(t.Context(), metadatatest.Blobs(9, at, hashes...)),
			c.PutStream(t.Context(), metadatatest.Blobs(9, at, hashes[i%20])[0], metadatatest.Stream(fmt.Sprint(i%20), content...)),
			c.Delete(t.Context(), hashes[20:])); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("there was no deadlock")
		}
	}
}

// backwards locks all rows, in the order that ours do not.
func backwards(t *testing.T, database string) {
	tx, err := shared.server.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = tx.Rollback() }()
	for _, h := range slices.Backward(sortedHex(metadatatest.Hashes("storm", 40))) {
		if _, err := tx.ExecContext(t.Context(), "UPDATE "+database+".blob_ SET length = length + 1 WHERE hash = ?", h); err != nil {
			return // it is the one that the server chose to give up
		}
	}
	_ = tx.Commit()
}

func sortedHex(hashes []blob.Hash) []string {
	var out []string
	for _, h := range hashes {
		out = append(out, h.String())
	}
	slices.Sort(out)
	return out
}

// Rows that somebody holds for longer than the server lets others wait are waited for again.
func TestLockWait(t *testing.T) {
	database := made(t)
	// For sessions that begin from now on. The others of this package hold nothing for long.
	exec(t, database, "SET GLOBAL innodb_lock_wait_timeout = 1")
	defer exec(t, database, "SET GLOBAL innodb_lock_wait_timeout = 50")
	c := open(t, options(shared.server, database))
	defer c.Close()
	blobs := metadatatest.Blobs(9, noon(), metadatatest.Hash("held"))
	if err := c.PutBlobs(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	tx, err := shared.server.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT * FROM "+database+".blob_ FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(1500*time.Millisecond, func() { _ = tx.Rollback() })
	defer timer.Stop()
	if err := c.PutBlobs(t.Context(), blobs); err != nil {
		t.Error(err)
	}

	// It is given up in time.
	tx2, err := shared.server.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx2.Rollback() }()
	if _, err := tx2.ExecContext(t.Context(), "SELECT * FROM "+database+".blob_ FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	o := options(shared.server, database)
	o.Timeout = 1200 * time.Millisecond
	short := open(t, o)
	defer func(c *mysql.Catalogue) { _ = c.Close() }(short)
	wantError(t, short.PutBlobs(t.Context(), blobs), metadata.ErrUnavailable)
}
