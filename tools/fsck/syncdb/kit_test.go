package syncdb_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/mysql"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

var quiet = slog.New(slog.DiscardHandler)

// bed is a disk, its catalogue and the configuration of both. Nothing of it is open between calls.
type bed struct {
	t        testing.TB
	mount    string
	conf     string
	disk     disk.Options
	open     func() (metadata.Catalogue, error)
	database []string // keys of db_backed that name the catalogue
	bolt     string   // its file, or empty
	over     string   // what the db_backed is over
	hard     bool     // deletes remove rows, says the configuration
}

// newBed makes one. server is nil for a catalogue in a file.
func newBed(t testing.TB, mode disk.Mode, server *testbed.MariaDBServer) *bed {
	t.Helper()
	dir := t.TempDir()
	b := &bed{t: t, mount: filepath.Join(dir, "mount"), conf: filepath.Join(dir, "reflector.yaml")}
	checktest.After(t, nil, b.mount)
	b.disk = disk.Options{MountPoint: b.mount, Mode: mode, MinFree: 1, Logger: quiet}
	layout := "mode: segments, segment_size: 8MiB"
	b.disk.SegmentSize = 8 << 20
	if mode == disk.ModeSharded {
		b.disk.ShardingSize, b.disk.HasShardingSize, b.disk.SegmentSize = 2, true, 0
		layout = "sharding_size: 2"
	}
	if server == nil {
		b.bolt = filepath.Join(dir, "catalogue.db")
		b.database = []string{"path: " + b.bolt}
		b.open = func() (metadata.Catalogue, error) {
			return bolt.Open(bolt.Options{Path: b.bolt, Tracking: metadata.TrackBlobs, SoftDeletes: true})
		}
	} else {
		name := server.Database(t)
		b.database = []string{"host: " + server.Host, fmt.Sprint("port: ", server.Port), "user: " + server.User,
			"password: " + server.Password, "database: " + name}
		b.open = func() (metadata.Catalogue, error) {
			return mysql.New(mysql.Options{Host: server.Host, Port: server.Port, User: server.User, Password: server.Password,
				Database: name, Tracking: metadata.TrackBlobs, SoftDeletes: true, CreateSchema: true})
		}
	}
	b.over = fmt.Sprintf("disk: {mount_point: %q, min_free: 1, %s}", b.mount, layout)
	b.configure(b.over, "lists: {blocklist: {delete: true}}")
	return b
}

// configure writes the configuration. store is what the db_backed is over.
func (b *bed) configure(store string, more ...string) {
	b.t.Helper()
	lines := []string{"store:", "  db_backed:", fmt.Sprint("    soft_deletes: ", !b.hard), "    access_tracking: 2"}
	for _, key := range b.database {
		lines = append(lines, "    "+key)
	}
	lines = append(lines, "    store:", "      "+store)
	b.write(append(lines, more...)...)
}

func (b *bed) write(lines ...string) {
	b.t.Helper()
	b.must(os.WriteFile(b.conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// with opens the catalogue for the time of a function.
func (b *bed) with(use func(c metadata.Catalogue) error) {
	b.t.Helper()
	c, err := b.open()
	b.must(err)
	b.must(errors.Join(use(c), c.Close()))
}

// store opens the disk for the time of a function.
func (b *bed) store(use func(s *disk.Store) error) {
	b.t.Helper()
	s, err := disk.Open(b.t.Context(), b.disk)
	b.must(err)
	b.must(errors.Join(s.WaitRecovered(b.t.Context()), use(s), s.Flush(b.t.Context()), s.Close()))
}

// put puts blobs on the disk.
func (b *bed) put(kind blob.Kind, blobs ...blob.Verified) {
	b.t.Helper()
	b.store(func(s *disk.Store) error {
		for _, v := range blobs {
			if err := s.Put(b.t.Context(), v, kind); err != nil {
				return err
			}
		}
		return nil
	})
}

// note notes blobs as stored.
func (b *bed) note(at time.Time, blobs ...blob.Verified) {
	b.t.Helper()
	b.with(func(c metadata.Catalogue) error { return c.PutBlobs(b.t.Context(), rowsOf(at, blobs...)) })
}

func rowsOf(at time.Time, blobs ...blob.Verified) (rows []metadata.Blob) {
	for _, v := range blobs {
		rows = append(rows, metadata.Blob{Hash: v.Hash(), Length: int(v.Size()), At: at})
	}
	return rows
}

// rows is all that the catalogue has.
func (b *bed) rows() map[blob.Hash]metadata.Row {
	b.t.Helper()
	got := map[blob.Hash]metadata.Row{}
	b.with(func(c metadata.Catalogue) error {
		return c.Walk(b.t.Context(), blob.Hash{}, func(r metadata.Row) error {
			got[r.Hash] = r
			return nil
		})
	})
	return got
}

// has says what is on the disk.
func (b *bed) has(h blob.Hash) (has bool) {
	b.t.Helper()
	b.store(func(s *disk.Store) error {
		var err error
		has, err = s.Has(b.t.Context(), h)
		return err
	})
	return has
}

// run compares, and repairs.
func (b *bed) run(repair bool, olderThan time.Duration) syncdb.Report {
	b.t.Helper()
	r, err := syncdb.Run(b.t.Context(), b.options(repair, olderThan))
	b.must(err)
	return r
}

func (b *bed) options(repair bool, olderThan time.Duration) syncdb.Options {
	return syncdb.Options{Path: b.mount, Config: b.conf, Repair: repair, OlderThan: olderThan}
}

// agreed wants a run that finds nothing at all.
func (b *bed) agreed() {
	b.t.Helper()
	if r := b.run(false, 0); !r.Clean() || r.InFlight != 0 || r.Blobs != r.Both || r.Stored != r.Both {
		b.t.Errorf("a second run:\n%s", r)
	}
}
