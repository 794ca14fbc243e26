package disk_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// crashEvery is 1 for a power cut before each call; by default tests take every few, to be quick.
var crashEvery = flag.Int("crash-every", 0, "cut the power before every n-th write-side call; 0: as each test likes")

// ledger is what the store has promised so far.
type ledger struct {
	mu      sync.Mutex
	durable map[blob.Hash]bool // put and durable: must be found
	deleted map[blob.Hash]bool // deleted: must not be found
}

func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// crash is a disk after a power cut, with what the store had promised by then.
type crash struct {
	where            string
	disk             *crashfs.FS
	durable, deleted map[blob.Hash]bool
}

// crashRun is one workload over a disk whose power is cut before every write-side call, over and over.
type crashRun struct {
	t       *testing.T
	fsys    *crashfs.FS
	opts    disk.Options
	blobs   []blob.Verified
	ledger  ledger
	mu      sync.Mutex // guards what follows
	crashes []crash
	kinds   map[crashfs.Kind]int
	lost    crashfs.Report
	evicts  bool // blobs may go for want of room
}

func newCrashRun(t *testing.T, o disk.Options, capacity int64) *crashRun {
	t.Helper()
	r := &crashRun{t: t, fsys: crashfs.New(), opts: o, kinds: map[crashfs.Kind]int{}}
	r.fsys.SetCapacity(capacity)
	r.ledger.durable, r.ledger.deleted = map[blob.Hash]bool{}, map[blob.Hash]bool{}
	r.opts.MountPoint, r.opts.FS, r.opts.IndexCache = "/m", r.fsys, 1<<20
	r.opts.Logger = slog.New(slog.DiscardHandler)
	return r
}

// record cuts the power before every nth write-side call from now on.
func (r *crashRun) record(every int) {
	if *crashEvery > 0 {
		every = *crashEvery
	}
	r.fsys.SetHook(func(op crashfs.Op) error {
		if op.N%every != 0 {
			return nil
		}
		c := crash{where: fmt.Sprintf("before call %d, %s %s", op.N, op.Kind, op.Path)}
		r.ledger.note(func() { c.durable, c.deleted = maps.Clone(r.ledger.durable), maps.Clone(r.ledger.deleted) })
		image, report := r.fsys.Cut(uint64(op.N))
		c.disk = image
		r.mu.Lock()
		defer r.mu.Unlock()
		r.crashes = append(r.crashes, c)
		r.kinds[op.Kind]++
		r.lost.Add(report)
		return nil
	})
}

func (r *crashRun) open() *disk.Store {
	r.t.Helper()
	s, err := disk.Open(r.t.Context(), r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// put stores a blob; always says that it is durable then.
func (r *crashRun) put(s *disk.Store, v blob.Verified, always bool) {
	r.t.Helper()
	h := v.Hash()
	r.ledger.note(func() { delete(r.ledger.deleted, h) })
	put(r.t, s, v)
	if always {
		r.ledger.note(func() { r.ledger.durable[h] = true })
	}
}

func (r *crashRun) delete(s *disk.Store, v blob.Verified) {
	r.t.Helper()
	h := v.Hash()
	r.ledger.note(func() { delete(r.ledger.durable, h) })
	if err := s.Delete(r.t.Context(), h); err != nil {
		r.t.Fatal(err)
	}
	r.ledger.note(func() { r.ledger.deleted[h] = true })
}

// flush makes durable what is in the store.
func (r *crashRun) flush(s *disk.Store, there []blob.Verified) {
	r.t.Helper()
	if err := s.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.ledger.note(func() {
		for _, v := range there {
			r.ledger.durable[v.Hash()] = true
		}
	})
}

func (r *crashRun) close(s *disk.Store) {
	r.t.Helper()
	if err := s.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// verify opens every disk that a cut left, and holds the store to its promises.
func (r *crashRun) verify(kinds ...crashfs.Kind) {
	r.t.Helper()
	r.fsys.SetHook(nil)
	for _, c := range r.crashes {
		if err := r.recover(c); err != nil {
			dir, _ := os.MkdirTemp("", "disk-crash-")
			r.t.Fatalf("power cut %s: %v\nthe disk is saved in %s: %v", c.where, err, dir, c.disk.Save(dir))
		}
	}
	if !r.lost.Lost() {
		r.t.Error("no power cut lost anything: this tests nothing")
	}
	for _, k := range kinds {
		if r.kinds[k] == 0 {
			r.t.Errorf("no power cut came before a call of kind %s", k)
		}
	}
	r.t.Logf("%d power cuts: %s", len(r.crashes), r.lost)
}

// recover opens the disk three times: what is found at once, after the walk, and after another start must be the same.
func (r *crashRun) recover(c crash) error {
	o := r.opts
	o.FS = c.disk
	var first map[blob.Hash]bool
	for round := range 2 {
		s, err := disk.Open(r.t.Context(), o)
		if err != nil {
			return err
		}
		for _, when := range []string{"at once", "after the walk"} {
			if when == "after the walk" {
				walked(r.t, s)
			}
			there, err := r.look(s, c)
			if err != nil {
				return errors.Join(fmt.Errorf("start %d, %s: %w", round+1, when, err), s.Close())
			}
			if first == nil {
				first = there
			}
			if !maps.Equal(first, there) && !r.evicts {
				return errors.Join(fmt.Errorf("start %d, %s: %d blobs, at first %d", round+1, when, len(there), len(first)), s.Close())
			}
		}
		if n := s.Stats().Blobs; n != int64(len(first)) && !r.evicts {
			return errors.Join(fmt.Errorf("start %d: %d blobs are counted, and %d are there", round+1, n, len(first)), s.Close())
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// look asks for every blob that was ever put.
func (r *crashRun) look(s *disk.Store, c crash) (map[blob.Hash]bool, error) {
	there := map[blob.Hash]bool{}
	for i, v := range r.blobs {
		got, err := read(r.t, s, v.Hash())
		switch {
		case err == nil && !bytes.Equal(got, v.Bytes()):
			return nil, fmt.Errorf("blob %d has wrong bytes", i)
		case err == nil && c.deleted[v.Hash()]:
			return nil, fmt.Errorf("blob %d was deleted and is back", i)
		case err == nil:
			there[v.Hash()] = true
		case !errors.Is(err, blob.ErrNotFound):
			return nil, fmt.Errorf("blob %d: %w", i, err)
		case c.durable[v.Hash()]:
			return nil, fmt.Errorf("blob %d was durable and is lost", i)
		}
	}
	return there, nil
}

// sizes of what the workloads put: parts of a block, blocks, and more than one sector of a last one.
var crashSizes = []int{1, 511, 4096, 5000, 12_288, 20_000}

func TestPowerCuts(t *testing.T) {
	for _, prefix := range []int{0, 2} {
		for _, policy := range []string{"always", "interval", "never"} {
			t.Run(fmt.Sprint(policy, " ", prefix), func(t *testing.T) {
				r := newCrashRun(t, disk.Options{Mode: disk.ModeSharded, ShardingSize: prefix, Sync: policy}, 0)
				for i := range 18 {
					r.blobs = append(r.blobs, makeBlob(t, uint64(i), crashSizes[i%len(crashSizes)]+i/len(crashSizes)))
				}
				r.record(4)
				r.lives(policy)
				r.verify(crashfs.OpCreate, crashfs.OpWrite, crashfs.OpSync, crashfs.OpRename, crashfs.OpRemove, crashfs.OpMkdir, crashfs.OpSyncDir)
			})
		}
	}
}

// lives is what happens to blobs: put, deleted, put again, across restarts.
func (r *crashRun) lives(policy string) {
	always := policy == "always"
	s := r.open()
	for _, v := range r.blobs[:12] {
		r.put(s, v, always)
	}
	if policy != "never" {
		r.flush(s, r.blobs[:12])
	} else {
		for _, v := range r.blobs[:12] { // proven and durable from the first look at it
			wantHit(r.t, s, v)
		}
		r.flush(s, r.blobs[:12])
	}
	for _, v := range r.blobs[:6] {
		r.delete(s, v)
	}
	for _, v := range r.blobs[3:6] {
		r.put(s, v, always)
	}
	r.close(s)
	if policy != "never" { // closed in good order
		r.ledger.note(func() {
			for _, v := range r.blobs[3:12] {
				r.ledger.durable[v.Hash()] = true
			}
		})
	}
	s = r.open()
	for _, v := range r.blobs[12:] {
		r.put(s, v, always)
	}
	for _, v := range r.blobs[9:15] {
		r.delete(s, v)
	}
	r.close(s)
}

// TestPowerCutsWhileEvicting has blobs evicted and put again: a proven row must never meet a file that is not durable.
func TestPowerCutsWhileEvicting(t *testing.T) {
	for _, policy := range []string{"always", "interval", "never"} {
		t.Run(policy, func(t *testing.T) {
			// 24 MiB of it are the index's reserve.
			r := newCrashRun(t, disk.Options{Mode: disk.ModeSharded, ShardingSize: 1, Sync: policy, MinFree: 3 << 20}, 30<<20)
			for i := range 14 {
				r.blobs = append(r.blobs, makeBlob(t, uint64(i), 300_000+i))
			}
			r.evicts = true
			r.record(9)
			s := r.open()
			walked(t, s)
			for range 6 { // what was just evicted is put again, over and over
				for _, v := range r.blobs {
					err := s.Put(t.Context(), v, blob.KindContent)
					if err != nil && !errors.Is(err, blob.ErrFull) {
						t.Fatal(err)
					}
				}
				r.flush(s, nil)
			}
			if s.Stats().Evicted < 10 {
				t.Errorf("only %d blobs were evicted", s.Stats().Evicted)
			}
			r.close(s)
			r.verify(crashfs.OpRemove, crashfs.OpRename)
		})
	}
}

// TestPowerCutsOverAnOldCache proves files that others wrote, good and bad, and fills the bad ones.
func TestPowerCutsOverAnOldCache(t *testing.T) {
	r := newCrashRun(t, disk.Options{Mode: disk.ModeSharded, Sync: "never"}, 0)
	if err := r.fsys.Mkdir("/m"); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		v := makeBlob(t, uint64(i), 9000)
		r.blobs = append(r.blobs, v)
		f, err := r.fsys.Create("/m/" + v.Hash().String())
		if err != nil {
			t.Fatal(err)
		}
		data := v.Bytes()
		if i%2 == 1 {
			data = make([]byte, len(data)) // right in length, and wrong
		}
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			r.ledger.durable[v.Hash()] = true
		}
	}
	if err := errors.Join(r.fsys.SyncDir("/m"), r.fsys.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	r.record(1)
	s := r.open()
	for range 2 {
		for _, v := range r.blobs {
			if _, err := read(t, s, v.Hash()); errors.Is(err, blob.ErrNotFound) {
				put(t, s, v)
			} else if err != nil {
				t.Fatal(err)
			}
			wantHit(t, s, v)
		}
	}
	r.close(s)
	r.verify(crashfs.OpRename)
}
