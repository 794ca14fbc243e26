package syncdb_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

// refused wants a run that cannot be, for a reason that it says.
func (b *bed) refused(what string, want error, text string) {
	b.t.Helper()
	_, err := syncdb.Run(b.t.Context(), b.options(true, 0))
	if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		b.t.Errorf("%s: %v, want %v and %q", what, err, want, text)
	}
}

// TestConfigurations has those that have no catalogue of the disk, or more than one.
func TestConfigurations(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t, disk.ModeSharded, nil)
	b.scene()
	rows := b.rows()
	d := fmt.Sprintf("disk: {mount_point: %q, sharding_size: 2}", b.mount)
	other := t.TempDir()
	bucket := "s3: {aws_id: a, aws_secret: b, region: c, bucket: d}"

	b.must(os.Remove(b.conf))
	b.refused("no file", syncdb.ErrConfig, "no such file")
	b.write("store: {disc: {}}")
	b.refused("a mistake", syncdb.ErrConfig, "did you mean disk")
	b.write("store:", "  "+d)
	b.refused("no db_backed", syncdb.ErrNoCatalogue, "no db_backed over it")
	b.configure(fmt.Sprintf("disk: {mount_point: %q}", other))
	b.refused("another disk", syncdb.ErrNoCatalogue, "its disks are "+other)
	b.configure(bucket)
	b.refused("over s3", syncdb.ErrNoCatalogue, "is over s3")
	b.configure(fmt.Sprintf("multiwriter: {one: {%s}, two: {%s}}", d, bucket))
	b.refused("a disk among others", syncdb.ErrNoCatalogue, "is a part")
	b.configure(fmt.Sprintf("db_backed: {path: %q, store: {%s}}", filepath.Join(other, "x.db"), d))
	b.refused("two catalogues", syncdb.ErrNoCatalogue, "lines 2, 7")
	b.configure(fmt.Sprintf("disk: {mount_point: %q, sharding_size: 3}", b.mount))
	b.refused("another sharding_size", disk.ErrLayout, "sharding_size")
	if !maps.Equal(b.rows(), rows) {
		t.Error("rows were changed")
	}

	b.configure(fmt.Sprintf("proxied-s3: {writer: {gcache: {max_size: 3, store: {%s}}}, reader: {%s}}", d, bucket))
	if r := b.run(false, 0); len(r.Found) == 0 {
		t.Errorf("over the writer of a proxied-s3:\n%s", r)
	}
	o := b.options(true, 0)
	o.Path = filepath.Join(b.mount, "nowhere")
	if _, err := syncdb.Run(t.Context(), o); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "mounted") {
		t.Errorf("a path that is not there: %v", err)
	}
	o.Path = b.conf
	if _, err := syncdb.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no folder") {
		t.Errorf("a path of a file: %v", err)
	}
}

// TestDisks has disks that cannot be read.
func TestDisks(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		t.Run(string(mode), func(t *testing.T) {
			leaktest.Check(t)
			b := newBed(t, mode, nil)
			b.scene()
			rows := b.rows()
			b.store(func(*disk.Store) error {
				b.refused("a disk that is in use", nil, "pid "+strconv.Itoa(os.Getpid()))
				return nil
			})
			if mode == disk.ModeSegments {
				b.must(os.RemoveAll(filepath.Join(b.mount, "index")))
				b.must(os.Mkdir(filepath.Join(b.mount, "index"), 0o700))
				b.refused("a disk that lost its index", check.ErrDamaged, "fsck repair")
				b.store(func(*disk.Store) error { return nil }) // the next start makes it anew
			}
			if !maps.Equal(b.rows(), rows) {
				t.Error("rows were changed")
			}
		})
	}
}

// TestCatalogues has catalogues that cannot be asked.
func TestCatalogues(t *testing.T) {
	t.Run("bolt", func(t *testing.T) {
		leaktest.Check(t)
		b := newBed(t, disk.ModeSharded, nil)
		b.scene()
		b.with(func(metadata.Catalogue) error {
			b.refused("a catalogue that is in use", metadata.ErrUnavailable, "another process has it open")
			return nil
		})
		b.must(os.Remove(b.bolt))
		b.refused("no catalogue", metadata.ErrUnavailable, "no catalogue to compare")
		if _, err := os.Stat(b.bolt); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it was made: %v", err)
		}
		b.must(os.WriteFile(b.bolt, []byte(strings.Repeat("no catalogue", 1000)), 0o600))
		b.refused("another file", metadata.ErrSchema, "no catalogue")
	})
	t.Run("MariaDB", func(t *testing.T) {
		leaktest.Check(t)
		server := testbed.MariaDB(t, testbed.MariaDBOptions{})
		b := newBed(t, disk.ModeSegments, server)
		b.put(blob.KindContent, storetest.Blob(t, 1, 100))
		b.database = append(b.database, "create_schema: true")
		b.configure(fmt.Sprintf("disk: {mount_point: %q, mode: segments, segment_size: 8MiB}", b.mount))
		b.refused("no tables", metadata.ErrSchema, "no table")
		b.rows() // which makes them
		right := b.database[3]
		b.database[3] = "password: wrong"
		b.configure(fmt.Sprintf("disk: {mount_point: %q, mode: segments, segment_size: 8MiB}", b.mount))
		b.refused("a wrong password", metadata.ErrDenied, "")
		b.database[3] = right
		b.configure(fmt.Sprintf("disk: {mount_point: %q, mode: segments, segment_size: 8MiB}", b.mount))
		b.must(server.Stop())
		b.refused("no server", metadata.ErrUnavailable, "")
		b.must(server.Start(t.Context()))
		if r := b.run(true, 0); !r.Clean() {
			t.Errorf("with the server again:\n%s", r)
		}
	})
}

// TestStrangers has a catalogue that is that of another disk: it is left alone, unless the configuration says otherwise.
func TestStrangers(t *testing.T) {
	b := newBed(t, disk.ModeSharded, nil)
	b.put(blob.KindContent, storetest.Blob(t, 0, 100))
	var others []metadata.Blob
	for i := range 1500 {
		others = append(others, metadata.Blob{Hash: blob.Sum(fmt.Append(nil, i)), Length: 9})
	}
	b.with(func(c metadata.Catalogue) error { return c.PutBlobs(t.Context(), others) })
	rows := b.rows()
	b.refused("a strange catalogue", syncdb.ErrStrangers, "delete_on_miss")
	if !maps.Equal(b.rows(), rows) {
		t.Error("rows were changed")
	}
	if r := b.run(false, 0); r.Found[syncdb.RowWithoutBlob] != 1500 || len(r.Findings) != 1000 ||
		!strings.Contains(r.String(), "and 501 more") {
		t.Errorf("found %v, listed %d", r.Found, len(r.Findings))
	}
	b.database = append(b.database, "delete_on_miss: true")
	b.configure(fmt.Sprintf("disk: {mount_point: %q, sharding_size: 2}", b.mount))
	if r := b.run(true, 0); !r.Clean() || r.Repaired[syncdb.RowWithoutBlob] != 1500 {
		t.Errorf("with delete_on_miss:\n%s", r)
	}
	b.agreed()
}

// TestOldRows has rows whose time is known: the age of a row is that of its last access.
func TestOldRows(t *testing.T) {
	b := newBed(t, disk.ModeSegments, nil)
	old, young, odd := storetest.Blob(t, 1, 100), storetest.Blob(t, 2, 100), storetest.Blob(t, 3, 100)
	b.put(blob.KindContent, storetest.Blob(t, 4, 100))
	b.note(time.Now().Add(-3*time.Hour), old)
	b.note(time.Now().Add(-time.Minute), young)
	b.note(time.Now().Add(1000*time.Hour), odd) // by a clock that was wrong
	r := b.run(false, time.Hour)
	if r.InFlight != 2 || r.Found[syncdb.RowWithoutBlob] != 2 || r.Findings[0].Hash == young.Hash() || r.Findings[1].Hash == young.Hash() {
		t.Errorf("by age:\n%s", r)
	}
}
