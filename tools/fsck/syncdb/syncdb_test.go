package syncdb_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/journal"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

// everywhere runs a test over both layouts and both catalogues.
func everywhere(t *testing.T, test func(t *testing.T, b *bed)) {
	server := testbed.MariaDB(t, testbed.MariaDBOptions{})
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		for name, s := range map[string]*testbed.MariaDBServer{"bolt": nil, "MariaDB": server} {
			t.Run(string(mode)+", "+name, func(t *testing.T) {
				b := newBed(t, mode, s)
				leaktest.Check(t)
				leaktest.FDs(t)
				test(t, b)
			})
		}
	}
}

// scene is one blob for each way to differ.
type scene struct {
	good, unknown, unstored, long, blocked, gone, sd blob.Verified
}

// sdOf is an SD blob that lists content, of one with a length that is not so.
func sdOf(t testing.TB, lying blob.Hash, content ...blob.Verified) blob.Verified {
	t.Helper()
	text := `{"stream_name": "61", "stream_hash": "` + blob.Sum(nil).String() + `", "blobs": [`
	for i, c := range content {
		n := c.Size()
		if c.Hash() == lying {
			n += 16
		}
		text += fmt.Sprintf(`{"blob_hash": "%s", "blob_num": %d, "length": %d}, `, c.Hash(), i, n)
	}
	data := []byte(text + fmt.Sprintf(`{"blob_num": %d, "length": 0}]}`, len(content)))
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b *bed) scene() scene {
	b.t.Helper()
	var v []blob.Verified
	for i := range 6 {
		v = append(v, storetest.Blob(b.t, uint64(i), 5000+i))
	}
	x := scene{v[0], v[1], v[2], v[3], v[4], v[5], sdOf(b.t, v[1].Hash(), v[0], v[1], v[5])}
	b.put(blob.KindContent, x.good, x.unknown, x.unstored, x.long, x.blocked)
	b.put(blob.KindSD, x.sd)
	b.with(func(c metadata.Catalogue) error {
		rows := rowsOf(time.Time{}, x.good, x.unstored, x.long, x.blocked, x.gone)
		rows[1].Length++ // a row that is wrong twice
		rows[2].Length--
		for _, err := range []error{
			c.PutBlobs(b.t.Context(), rows),
			c.Delete(b.t.Context(), []blob.Hash{x.unstored.Hash()}),
			c.Block(b.t.Context(), []blob.Hash{x.blocked.Hash(), x.gone.Hash(), {7}}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	return x
}

// TestFindings makes every kind of finding, finds it, settles it, and finds nothing more.
func TestFindings(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bed) {
		x := b.scene()
		before := b.rows()
		r := b.run(false, 0)
		want := map[syncdb.Kind]int64{
			syncdb.RowWithoutBlob: 1, syncdb.BlobWithoutRow: 2, syncdb.BlobNotStored: 1, syncdb.WrongLength: 1, syncdb.Blocked: 1,
		}
		if r.Clean() || !maps.Equal(r.Found, want) || r.Blobs != 6 || r.Rows != 5 || r.Stored != 4 || r.Both != 3 || r.InFlight != 0 {
			t.Fatalf("found:\n%s", r)
		}
		for kind, v := range map[syncdb.Kind]blob.Verified{
			syncdb.RowWithoutBlob: x.gone, syncdb.BlobNotStored: x.unstored, syncdb.WrongLength: x.long, syncdb.Blocked: x.blocked,
		} {
			if line := string(kind) + " " + v.Hash().String(); !strings.Contains(r.String(), line) {
				t.Errorf("the report lacks %s:\n%s", line, r)
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if after := b.rows(); !maps.Equal(after, before) || !b.has(x.blocked.Hash()) {
			t.Fatal("a comparison has changed something")
		}

		r = b.run(true, 0)
		if !r.Clean() || !maps.Equal(r.Repaired, want) {
			t.Errorf("repaired:\n%s", r)
		}
		b.agreed()
		if b.has(x.blocked.Hash()) || !b.has(x.good.Hash()) {
			t.Error("what is blocked is on the disk, or what is not is gone")
		}
		rows := b.rows()
		for _, v := range []blob.Verified{x.good, x.unknown, x.unstored, x.long, x.sd} {
			if row := rows[v.Hash()]; !row.Stored || row.Length != int(v.Size()) || !b.has(v.Hash()) {
				t.Errorf("%d bytes have the row %+v", v.Size(), row)
			}
		}
		b.with(func(c metadata.Catalogue) error {
			missing, known, err := c.Missing(t.Context(), x.sd.Hash())
			if !known || len(missing) != 1 || missing[0] != x.gone.Hash() {
				t.Errorf("the stream is known: %v, and misses %v", known, missing)
			}
			return err
		})
	})
}

// TestBlockedIsKept where the configuration does not say that it is to go.
func TestBlockedIsKept(t *testing.T) {
	b := newBed(t, disk.ModeSharded, nil)
	b.configure(fmt.Sprintf("disk: {mount_point: %q, min_free: 1, sharding_size: 2}", b.mount))
	x := b.scene()
	if r := b.run(true, 0); !r.Clean() || r.Kept != 1 || r.Found[syncdb.Blocked] != 0 || !b.has(x.blocked.Hash()) {
		t.Errorf("it is on the disk: %v\n%s", b.has(x.blocked.Hash()), r)
	}
	b.agreed()
}

// TestInFlight leaves alone what is young, and what the journal has.
func TestInFlight(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		t.Run(string(mode), func(t *testing.T) {
			leaktest.Check(t)
			b := newBed(t, mode, nil)
			x := b.scene()
			before := b.rows()
			if r := b.run(true, time.Hour); !r.Clean() || r.InFlight != 6 || len(r.Found)+len(r.Repaired) > 0 {
				t.Errorf("all of it is young:\n%s", r)
			}
			if !maps.Equal(b.rows(), before) {
				t.Error("rows were changed")
			}
			j, err := journal.Open(journal.Options{Dir: disk.Beside(b.mount, dbbacked.JournalFolder), Logger: quiet})
			b.must(err)
			j.Note(x.gone.Hash(), journal.Changed)
			j.Note(x.unknown.Hash(), journal.Changed)
			j.Note(x.long.Hash(), journal.Used)
			b.must(j.Close())
			if r := b.run(true, 0); !r.Clean() || r.InFlight != 2 || len(r.Repaired) != 4 {
				t.Errorf("with a journal:\n%s", r)
			}
			rows := b.rows()
			if !rows[x.gone.Hash()].Stored || rows[x.long.Hash()].Length != int(x.long.Size()) {
				t.Error("what the journal has was told, or what it has not was not")
			}
			b.must(os.RemoveAll(disk.Beside(b.mount, dbbacked.JournalFolder)))
			if r := b.run(true, 0); !r.Clean() || r.Found[syncdb.RowWithoutBlob] != 1 {
				t.Errorf("without the journal:\n%s", r)
			}
			b.agreed()
		})
	}
}

// TestKilledDisk compares with the copy of a mount that is in use, as a kill would leave it: what was written last is not
// known to be there, nor to be gone.
func TestKilledDisk(t *testing.T) {
	b := newBed(t, disk.ModeSegments, nil)
	old, last := storetest.Blob(t, 1, 9000), storetest.Blob(t, 2, 9000)
	b.put(blob.KindContent, old)
	lost := storetest.Blob(t, 3, 9000)
	b.note(time.Time{}, lost, last)
	copied := filepath.Join(t.TempDir(), "copy")
	b.store(func(s *disk.Store) error {
		if err := s.Put(t.Context(), last, blob.KindContent); err != nil {
			return err
		}
		return os.CopyFS(copied, os.DirFS(b.mount))
	})
	b.mount, b.disk.MountPoint = copied, copied
	b.configure(fmt.Sprintf("disk: {mount_point: %q, min_free: 1, segment_size: 8MiB}", copied))
	r := b.run(true, 0)
	if !r.Clean() || !maps.Equal(r.Repaired, map[syncdb.Kind]int64{syncdb.RowWithoutBlob: 1, syncdb.BlobWithoutRow: 1}) {
		t.Errorf("of a mount that was killed:\n%s", r)
	}
	if rows := b.rows(); !rows[last.Hash()].Stored || rows[lost.Hash()].Stored || !rows[old.Hash()].Stored {
		t.Error("rows are wrong")
	}
	if !b.has(last.Hash()) { // which recovers the mount
		t.Error("the last blob was lost")
	}
	b.agreed()
}

// TestLeft has SD blobs that cannot be read: they stay as findings, and all else is settled.
func TestLeft(t *testing.T) {
	b := newBed(t, disk.ModeSharded, nil)
	sd, v := sdOf(t, blob.Hash{}, storetest.Blob(t, 1, 10)), storetest.Blob(t, 2, 5000)
	b.put(blob.KindContent, sd, v)
	b.note(time.Time{}) // which makes an empty catalogue
	path := filepath.Join(b.mount, sd.Hash().String()[:2], sd.Hash().String())
	data := append([]byte(nil), sd.Bytes()...)
	data[len(`{"stream_name": "6`)] = '2'
	if stream.Sniff(data) != blob.KindSD {
		t.Fatal("it is no SD blob any more")
	}
	b.must(os.WriteFile(path, data, 0o600))
	r := b.run(true, 0)
	if r.Clean() || r.LeftOver != 1 || len(r.Left) != 1 || r.Left[0].Hash != sd.Hash() || r.Repaired[syncdb.BlobWithoutRow] != 1 {
		t.Errorf("with a damaged SD blob:\n%s", r)
	}
	b.must(os.Remove(path))
	b.agreed()
}
