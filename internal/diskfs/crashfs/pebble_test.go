package crashfs_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

type panicLogger struct{}

func (panicLogger) Infof(string, ...any)              {}
func (panicLogger) Errorf(string, ...any)             {}
func (panicLogger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func openDB(f *crashfs.FS) (*pebble.DB, error) {
	return pebble.Open("/index", &pebble.Options{
		FS: pebblefs.New(f), Logger: panicLogger{}, MemTableSize: 32 << 10, FormatMajorVersion: pebble.FormatNewest,
	})
}

// writeKeys opens a database and writes numbered keys, each sync-th of them with Sync (0: none). It returns how many are
// covered by a Sync. The database is open until the end of the test.
func writeKeys(t *testing.T, f *crashfs.FS, keys, sync int) (synced int) {
	t.Helper()
	db, err := openDB(f)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, f.SyncDir("/")) // the folder of the database is its user's to sync
	for i := range keys {
		opts := &pebble.WriteOptions{Sync: sync > 0 && i%sync == sync-1}
		must(t, db.Set(fmt.Appendf(nil, "key %06d", i), pattern(uint64(i), 64), opts))
		if opts.Sync {
			synced = i + 1
		}
	}
	return synced
}

// survivors opens what a cut left, demands right values, and counts the keys that are there from the first one on; none
// may be there behind one that is missing.
func survivors(t *testing.T, after *crashfs.FS, keys int) int {
	t.Helper()
	db, err := openDB(after)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	n := 0
	for i := range keys {
		value, closer, err := db.Get(fmt.Appendf(nil, "key %06d", i))
		if err == pebble.ErrNotFound {
			continue
		}
		must(t, err)
		if string(value) != string(pattern(uint64(i), 64)) {
			t.Fatalf("key %d has another value", i)
		}
		if n != i {
			t.Fatalf("key %d is there, %d is not", i, n)
		}
		n++
		must(t, closer.Close())
	}
	return n
}

// The number of keys lets logs be recycled and tables be flushed and compacted on the way.
func TestPebbleKeepsWhatItSynced(t *testing.T) {
	const keys = 2000
	f := crashfs.New()
	synced := writeKeys(t, f, keys, 7)
	for seed := range uint64(25) {
		after, report := f.Cut(seed)
		if n := survivors(t, after, keys); n < synced {
			t.Fatalf("%d keys are left of %d that were synced; %s", n, synced, report)
		}
	}
}

// Without syncs keys do get lost: the power cut is real.
func TestPebbleLosesWhatItDidNotSync(t *testing.T) {
	const keys = 100
	f := crashfs.New()
	writeKeys(t, f, keys, 0)
	for seed := range uint64(60) {
		after, _ := f.Cut(seed)
		if survivors(t, after, keys) < keys {
			return
		}
	}
	t.Error("no cut lost a key")
}

// Cuts are taken at calls all over the life of a database, most of them with something under way.
func TestPebbleCutAtAnyCall(t *testing.T) {
	const keys = 1200
	type moment struct {
		after  *crashfs.FS
		report crashfs.Report
		synced int64
	}
	var (
		mu      sync.Mutex
		moments []moment
		synced  atomic.Int64
	)
	f := crashfs.New()
	db, err := openDB(f)
	must(t, err)
	must(t, f.SyncDir("/"))
	f.SetHook(func(op crashfs.Op) error {
		if op.N%17 != 0 {
			return nil
		}
		n := synced.Load()
		after, report := f.Cut(uint64(op.N))
		mu.Lock()
		defer mu.Unlock()
		moments = append(moments, moment{after, report, n})
		return nil
	})
	for i := range keys {
		sync := i%3 == 0
		must(t, db.Set(fmt.Appendf(nil, "key %06d", i), pattern(uint64(i), 64), &pebble.WriteOptions{Sync: sync}))
		if sync {
			synced.Store(int64(i + 1))
		}
	}
	must(t, db.Close())

	lost := 0
	for _, m := range moments {
		if n := survivors(t, m.after, keys); int64(n) < m.synced {
			t.Fatalf("%d keys are left of %d that were synced; %s", n, m.synced, m.report)
		}
		if m.report.Lost() {
			lost++
		}
	}
	t.Logf("%d cuts of %d lost something", lost, len(moments))
	if lost < 10 {
		t.Errorf("%d cuts of %d lost anything", lost, len(moments))
	}
}
