package dbbacked_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/mysql"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

const (
	capBytes = 64 * mib
	capBlobs = 2 * capBytes / mib // of a little less than 1 MiB each
)

// capRow is a disk with a cap, under a catalogue.
type capRow struct {
	mode     disk.Mode
	tracking metadata.Tracking
	sync     dbbacked.Sync
	down     bool // the database, from the first put to the last
	mariaDB  bool // a real one, or the embedded one
}

func (r capRow) String() string {
	database, state := "bolt", "up"
	if r.mariaDB {
		database = "MariaDB"
	}
	if r.down {
		state = "down"
	}
	return fmt.Sprintf("%s, access_tracking %d, %s, %s %s", r.mode, r.tracking, r.sync, database, state)
}

// TestCap puts twice the cap into the disk, in both its modes and at every level of tracking, with the database up and
// down: the files never take more than the cap, and the catalogue follows what was evicted.
func TestCap(t *testing.T) {
	leaktest.Check(t)
	const behind, through = dbbacked.WriteBehind, dbbacked.WriteThrough
	none, streams, all := metadata.TrackNone, metadata.TrackStreams, metadata.TrackBlobs
	var rows []capRow
	for _, mode := range modes {
		for _, tracking := range []metadata.Tracking{none, streams, all} {
			rows = append(rows,
				capRow{mode: mode, tracking: tracking, sync: behind},
				capRow{mode: mode, tracking: tracking, sync: behind, down: true},
				capRow{mode: mode, tracking: tracking, sync: through}) // with the database down that takes no put
		}
	}
	rows = append(rows,
		capRow{mode: disk.ModeSegments, tracking: none, sync: behind, down: true, mariaDB: true},
		capRow{mode: disk.ModeSegments, tracking: streams, sync: through, mariaDB: true},
		capRow{mode: disk.ModeSharded, tracking: none, sync: behind, mariaDB: true},
		capRow{mode: disk.ModeSharded, tracking: all, sync: behind, down: true, mariaDB: true})
	server := testbed.MariaDB(t, testbed.MariaDBOptions{})
	blobs := make([]blob.Verified, capBlobs)
	for i := range blobs {
		blobs[i] = storetest.Blob(t, uint64(i), mib-1-i)
	}
	for _, row := range rows {
		t.Run(row.String(), func(t *testing.T) { newCapRig(t, row, server).run(blobs) })
	}
}

// capRig is a capRow at work.
type capRig struct {
	capRow
	t     *testing.T
	mount string
	disk  *disk.Store
	store *dbbacked.Store
	cat   metadata.Catalogue

	stop, start func() error // the database
}

func newCapRig(t *testing.T, row capRow, server *testbed.MariaDBServer) *capRig {
	t.Helper()
	r := &capRig{capRow: row, t: t, mount: t.TempDir()}
	o := disk.Options{MountPoint: r.mount, Mode: row.mode, MaxSize: capBytes, MinFree: 1}
	if row.mode == disk.ModeSegments {
		o.SegmentSize = 4 * mib
	}
	r.disk = openDisk(t, o)
	var err error
	if row.mariaDB {
		r.cat, err = mysql.New(mysql.Options{
			Host: server.Host, Port: server.Port, User: server.User, Password: server.Password, Database: server.Database(t),
			CreateSchema: true, Tracking: row.tracking,
		})
		r.stop, r.start = func() error { server.Kill(); return nil }, func() error { return server.Start(t.Context()) }
	} else {
		var c metadata.Catalogue
		c, err = bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "c.db"), Tracking: row.tracking})
		a := &away{Catalogue: c}
		r.cat, r.stop, r.start = a, func() error { a.mood.Store(gone); return nil }, func() error { a.mood.Store(here); return nil }
	}
	if err != nil {
		t.Fatal(err)
	}
	r.store, err = dbbacked.Open(dbbacked.Options{
		Store: r.disk, Catalogue: r.cat, Sync: row.sync, Tracking: row.tracking, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	return r
}

func (r *capRig) run(blobs []blob.Verified) {
	t := r.t
	put(t, r.store, blobs[0], blob.KindContent) // so that the catalogue has its tables, and is away later
	agree(t, r.disk, r.cat)
	if r.down {
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	most := int64(0)
	for i, v := range blobs[1:] {
		r.put(v)
		if i%4 == 0 { // uses, for the catalogue and for the order of eviction
			r.use(blobs[i/2])
		}
		// No put is under way, so nothing can come while the files are counted.
		most = max(most, r.files())
	}
	if r.down {
		if n := r.store.Stats().Journal.Entries; n == 0 {
			t.Error("nothing waits for the database: it was not away")
		}
		if err := r.start(); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, r.disk, r.cat)
	most = max(most, r.files())
	t.Logf("at most %.1f MiB of %d, %d evictions", float64(most)/mib, capBytes/mib, r.disk.Stats().Evicted)
	if most > capBytes {
		t.Errorf("the files took %d bytes, the cap is %d", most, capBytes)
	}
	if evicted := r.disk.Stats().Evicted; evicted < capBlobs/2 || most < capBytes/2 {
		t.Errorf("%d evictions, at most %d bytes: a cap of %d was not tried", evicted, most, capBytes)
	}
}

// put puts a blob, as soon as there is room.
func (r *capRig) put(v blob.Verified) {
	r.t.Helper()
	eventually(r.t, "room", func() bool {
		err := r.store.Put(r.t.Context(), v, blob.KindContent)
		if err != nil && !errors.Is(err, blob.ErrFull) {
			r.t.Fatal(err)
		}
		return err == nil
	})
}

// use gets a blob that may have been evicted.
func (r *capRig) use(v blob.Verified) {
	r.t.Helper()
	handle, err := r.store.Get(r.t.Context(), v.Hash())
	switch {
	case err == nil:
		handle.Release()
	case !errors.Is(err, blob.ErrNotFound):
		r.t.Fatal(err)
	}
}

// files is what all files of the mount take, in bytes.
func (r *capRig) files() (total int64) {
	r.t.Helper()
	err := filepath.WalkDir(r.mount, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				total += info.Sys().(*syscall.Stat_t).Blocks * 512
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return total
}
