package dbbacked_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

const mib = 1 << 20

var modes = []disk.Mode{disk.ModeSegments, disk.ModeSharded}

// rig is a db_backed over a disk, in folders that outlive it.
type rig struct {
	t    *testing.T
	dir  string
	mode disk.Mode
	cap  int64
	opts dbbacked.Options

	cat  *away
	disk *disk.Store
	*dbbacked.Store
}

func newRig(t *testing.T, mode disk.Mode) *rig {
	t.Helper()
	leaktest.Check(t)
	return &rig{t: t, dir: t.TempDir(), mode: mode, opts: dbbacked.Options{Sync: dbbacked.WriteBehind}}
}

func (r *rig) open() *rig {
	r.t.Helper()
	o := disk.Options{MountPoint: filepath.Join(r.dir, "mount"), Mode: r.mode, MaxSize: r.cap, MinFree: 1}
	if r.mode == disk.ModeSegments {
		o.SegmentSize = 8 * mib
	}
	r.disk = openDisk(r.t, o)
	mood := here
	if r.cat != nil {
		mood = r.cat.mood.Load()
	}
	r.cat = &away{Catalogue: openBolt(r.t, filepath.Join(r.dir, "c.db"))}
	r.cat.mood.Store(mood)
	r.opts.Store, r.opts.Catalogue, r.opts.AskTimeout = r.disk, r.cat, 50*time.Millisecond
	r.Store = openStore(r.t, r.opts)
	return r
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// kill goes on with a copy of the folders as they are while the store is open, as if it had been killed.
func (r *rig) kill() {
	r.t.Helper()
	copied := r.t.TempDir()
	// The catalogue is a single file that is copied last: what it has of the store is no older than the store.
	for _, part := range []string{"mount", "c.db"} {
		copyAll(r.t, filepath.Join(r.dir, part), filepath.Join(copied, part))
	}
	r.close()
	r.dir = copied
}

// copyAll copies what is there, and leaves out what goes meanwhile.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() {
		data, err := os.ReadFile(from)
		if err == nil {
			err = writeSparse(to, data)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return
	}
	names, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		copyAll(t, filepath.Join(from, n.Name()), filepath.Join(to, n.Name()))
	}
}

// writeSparse leaves holes where the bytes of whole blocks are zero: a copy takes no more room than what was copied.
func writeSparse(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	const block = 4096
	zeros := make([]byte, block)
	for at := 0; at < len(data) && err == nil; at += block {
		if p := data[at:min(at+block, len(data))]; !bytes.Equal(p, zeros[:len(p)]) {
			_, err = f.WriteAt(p, int64(at))
		}
	}
	return errors.Join(err, f.Truncate(int64(len(data))), f.Close())
}

// whole waits until the journal is known to have all news.
func (r *rig) whole() {
	r.t.Helper()
	eventually(r.t, "the comparison", func() bool { return r.Stats().Journal.Whole })
}

// TestOutage lives through an outage, and restarts in it: nothing waits, nothing fails, and then all agree, without a
// comparison.
func TestOutage(t *testing.T) {
	for _, mode := range modes {
		for name, mood := range map[string]int32{"gone": gone, "frozen": frozen} {
			t.Run(string(mode)+", "+name, func(t *testing.T) {
				r := newRig(t, mode).open()
				r.whole()
				var all []blob.Verified
				for i := range 20 {
					all = append(all, storetest.Blob(t, uint64(i), 1000+i))
					put(t, r, all[i], blob.KindContent)
				}
				sd := sdOf(t, all[0], all[1])
				agree(t, r.disk, r.cat)
				eventually(t, "an empty journal", func() bool { return r.Stats().Journal.Entries == 0 })
				r.cat.mood.Store(mood)
				put(t, r, sd, blob.KindSD)
				for i := 20; i < 40; i++ {
					all = append(all, storetest.Blob(t, uint64(i), 1000+i))
					put(t, r, all[i], blob.KindContent)
				}
				for _, v := range all[5:10] {
					if err := r.Delete(t.Context(), v.Hash()); err != nil {
						t.Fatal(err)
					}
				}
				put(t, r, all[7], blob.KindContent)
				for range 3 {
					r.close()
					r.open()
					for _, v := range all[10:] {
						hit(t, r, v.Hash())
						if has, err := r.Has(t.Context(), v.Hash()); !has || err != nil {
							t.Fatalf("Has: %v, %v", has, err)
						}
					}
				}
				eventually(t, "the news", func() bool { st := r.Stats(); return st.Journal.Entries > 20 && st.Journal.Oldest > 0 })
				if wanted, blocked, err := r.Wants(t.Context(), all[5].Hash()); !wanted || blocked || err != nil {
					t.Errorf("Wants: %v, %v, %v", wanted, blocked, err)
				}
				if r.Stats().Errors == 0 {
					t.Error("nobody counted that the catalogue is away")
				}
				r.cat.mood.Store(here)
				agree(t, r.disk, r.cat)
				if missing, known, err := r.cat.Missing(t.Context(), sd.Hash()); len(missing) != 0 || !known || err != nil {
					t.Errorf("the stream lacks %d, %v, %v", len(missing), known, err)
				}
				if row, _ := rowOf(t, r.cat, all[30].Hash()); row.Length != int(all[30].Size()) {
					t.Errorf("row %+v", row)
				}
				if st := r.Stats(); st.LastCompared != 0 || !st.Journal.Whole {
					t.Errorf("it took a comparison: %+v", st)
				}
			})
		}
	}
}

// TestKilled demands that after a kill, or with a journal that was cut, damaged or deleted, the two come to agree.
func TestKilled(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig(t, mode).open()
			r.whole()
			for i := range 30 {
				put(t, r, storetest.Blob(t, uint64(i), 1000+i), blob.KindContent)
				if i == 10 {
					agree(t, r.disk, r.cat)
					r.cat.mood.Store(gone)
				}
			}
			r.kill()
			r.open()
			r.cat.mood.Store(here)
			agree(t, r.disk, r.cat)
			r.cat.mood.Store(gone)
			put(t, r, storetest.Blob(t, 99, 1000), blob.KindContent)
			if err := r.Delete(t.Context(), storetest.Blob(t, 3, 1003).Hash()); err != nil {
				t.Fatal(err)
			}
			r.close()
			if err := os.RemoveAll(r.disk.Folder("journal")); err != nil {
				t.Fatal(err)
			}
			r.open()
			r.cat.mood.Store(here)
			agree(t, r.disk, r.cat)
			eventually(t, "the end of the comparison", func() bool { return r.Stats().LastCompared > 0 })
		})
	}
}

// TestCatalogueLosesCommits demands that what only the catalogue has lost is found in time.
func TestCatalogueLosesCommits(t *testing.T) {
	r := newRig(t, disk.ModeSegments)
	r.opts.CompareEvery = 50 * time.Millisecond
	r.open()
	v := storetest.Blob(t, 1, 1000)
	put(t, r, v, blob.KindContent)
	agree(t, r.disk, r.cat)
	if err := r.cat.Delete(t.Context(), []blob.Hash{v.Hash()}); err != nil {
		t.Fatal(err)
	}
	agree(t, r.disk, r.cat)
}

// TestStrangers demands that a catalogue of others is left as it is, and one that merely outlived its store is not.
func TestStrangers(t *testing.T) {
	for _, wipe := range []bool{false, true} {
		r := newRig(t, disk.ModeSegments)
		r.opts.DeleteOnMiss = wipe
		path := filepath.Join(r.dir, "c.db")
		c := openBolt(t, path)
		var rows []metadata.Blob
		for i := range 1500 {
			rows = append(rows, metadata.Blob{Hash: blob.Sum([]byte{byte(i), byte(i >> 8)}), Length: 5})
		}
		if err := errors.Join(c.PutBlobs(t.Context(), rows), c.Close()); err != nil {
			t.Fatal(err)
		}
		var log syncedLog
		r.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
		r.open()
		v := storetest.Blob(t, 1, 1000)
		put(t, r, v, blob.KindContent)
		eventually(t, "the row of the put", func() bool { return storedIn(t, r.cat, v.Hash()) })
		if wipe {
			agree(t, r.disk, r.cat)
			continue
		}
		eventually(t, "a word about it", func() bool { return strings.Contains(log.String(), "delete_on_miss") })
		if n, err := r.cat.Count(t.Context()); n != 1501 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	}
}

// TestUnlisted works over a store that cannot list: every change is noted on disk before it is acknowledged.
func TestUnlisted(t *testing.T) {
	leaktest.Check(t)
	dir := t.TempDir()
	child := mem.New(mem.Options{})
	o := dbbacked.Options{Store: child, Sync: dbbacked.WriteBehind}
	cat := &away{Catalogue: openBolt(t, filepath.Join(dir, "c.db"))}
	o.Catalogue = cat
	if s, err := dbbacked.Open(o); !errors.Is(err, dbbacked.ErrOptions) {
		t.Fatalf("opened without a folder for the journal: %v, %v", s, err)
	}
	o.Journal = filepath.Join(dir, "journal")
	s := openStore(t, o)
	v, w := storetest.Blob(t, 1, 1000), storetest.Blob(t, 2, 1000)
	sd := sdOf(t, v)
	put(t, s, v, blob.KindContent)
	put(t, s, w, blob.KindContent)
	eventually(t, "the rows", func() bool { return storedIn(t, cat, v.Hash()) && storedIn(t, cat, w.Hash()) })
	cat.mood.Store(gone)
	put(t, s, sd, blob.KindSD)
	if err := s.Delete(t.Context(), w.Hash()); err != nil {
		t.Fatal(err)
	}
	cat.mood.Store(here)
	eventually(t, "the truth", func() bool { return !storedIn(t, cat, w.Hash()) && storedIn(t, cat, sd.Hash()) })
	if missing, known, err := cat.Missing(t.Context(), sd.Hash()); len(missing) > 0 || !known || err != nil {
		t.Errorf("%v, %v, %v", missing, known, err)
	}
}

// TestModel does anything in any order, with outages, restarts and kills, and demands agreement after each settling, and
// of every stream that the catalogue has all of its links.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i, mode := range modes {
		t.Run(string(mode), func(t *testing.T) { model(t, mode, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
}

func model(t *testing.T, mode disk.Mode, rnd *rand.Rand) {
	r := newRig(t, mode)
	if r.cap = 96 * mib; rnd.IntN(2) == 0 {
		r.opts.DeleteOnMiss = true
	}
	r.open()
	var known []blob.Verified
	for range 400 {
		switch n := rnd.IntN(100); {
		case n < 45 || len(known) == 0:
			v := storetest.Blob(t, rnd.Uint64N(200), 1+rnd.IntN(2*mib))
			if n < 8 && len(known) > 1 {
				v = sdOf(t, known[rnd.IntN(len(known))], known[rnd.IntN(len(known))])
			}
			kind := blob.KindContent
			if n < 8 && len(known) > 1 {
				kind = blob.KindSD
			}
			known = append(known, v)
			if err := r.Put(t.Context(), v, kind); err != nil && !errors.Is(err, blob.ErrFull) {
				t.Fatal(err)
			}
		case n < 70:
			h, err := r.Get(t.Context(), known[rnd.IntN(len(known))].Hash())
			if err == nil {
				h.Release()
			} else if !errors.Is(err, blob.ErrNotFound) {
				t.Fatal(err)
			}
		case n < 85:
			if err := r.Delete(t.Context(), known[rnd.IntN(len(known))].Hash()); err != nil {
				t.Fatal(err)
			}
		case n < 92:
			r.cat.mood.Store(rnd.Int32N(3))
		case n < 95:
			r.close()
			r.open()
		case n < 97:
			r.kill()
			r.open()
		case n < 98:
			r.cat.mood.Store(here)
			agree(t, r.disk, r.cat)
		}
	}
	r.cat.mood.Store(here)
	agree(t, r.disk, r.cat)
}

// syncedLog is text that several goroutines write.
type syncedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *syncedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
