package index_test

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// patience is how long anything in these tests may take before it counts as hung.
const patience = 30 * time.Second

// within demands that f ends.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s hangs", what)
	}
}

// call is a kind of write-side call on a kind of file.
type call struct {
	kind crashfs.Kind
	file string
}

// callOf classifies.
func callOf(op crashfs.Op) call {
	name := filepath.Base(cmp.Or(op.To, op.Path))
	switch {
	case op.Kind == crashfs.OpSyncDir, op.Kind == crashfs.OpMkdir:
		name = "folder"
	case strings.HasPrefix(name, "MANIFEST-"):
		name = "manifest"
	case strings.HasPrefix(name, "OPTIONS-"), strings.HasPrefix(name, "temporary."):
		name = "options"
	case strings.HasPrefix(name, "marker."):
		name = "marker"
	case filepath.Ext(name) != "":
		name = filepath.Ext(name)[1:]
	}
	return call{op.Kind, name}
}

func (c call) String() string { return c.kind.String() + " " + c.file }

// trial is one run of the work on a disk whose n-th call of some kind fails.
type trial struct {
	disk *crashfs.FS
	mu   sync.Mutex
	seen map[call]int
	fail call
	n    int
	err  error
	hit  bool
}

func newTrial() *trial { return &trial{disk: crashfs.New(), seen: map[call]int{}} }

// watch counts calls from now on, and makes the one fail that was asked for.
func (d *trial) watch() {
	d.disk.SetHook(func(op crashfs.Op) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		c := callOf(op)
		d.seen[c]++
		if d.err != nil && c == d.fail && d.seen[c] == d.n {
			d.hit = true
			return d.err
		}
		return nil
	})
}

func (d *trial) wasHit() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hit
}

func (d *trial) options() index.Options {
	return index.Options{FS: pebblefs.New(d.disk), Dir: "mount/index", MemTableBytes: 64 << 10, CacheBytes: 1 << 20}
}

// work commits batches, every fourth with a sync, until the index fails. It returns how many batches were acknowledged,
// and up to which of them they are durable.
func work(x *index.Index, batches int) (acked, durable int) {
	for i := range batches {
		b := x.NewBatch()
		for j := range workBlobs {
			b.Put(hashOf(i*workBlobs+j), entryOf(i*workBlobs+j))
			if old := (i-workWindow)*workBlobs + j; old >= 0 {
				b.Delete(hashOf(old), entryOf(old))
			}
		}
		if commit(x, b, i%4 == 3) != nil {
			return acked, durable
		}
		acked = i + 1
		if i%4 == 3 {
			durable = acked
		}
	}
	return acked, durable
}

// commit commits as the engine does: on a goroutine that is left behind when the index fails.
func commit(x *index.Index, b *index.Batch, sync bool) error {
	done := make(chan error, 1)
	go func() { done <- b.Commit(sync) }()
	select {
	case err := <-done:
		return err
	case <-x.Failed():
		return x.Err()
	}
}

const (
	workBatches = 120
	workBlobs   = 25
	workWindow  = 20 // a batch deletes the blobs of the one so far before it
)

// wantBlobs demands the blobs of the batches [from, to).
func wantBlobs(t *testing.T, x *index.Index, from, to int) {
	t.Helper()
	for i := max(0, from); i < to; i++ {
		for j := range workBlobs {
			k := i*workBlobs + j
			if e, err := x.Get(hashOf(k)); err != nil || e != entryOf(k) {
				t.Fatalf("blob %d of batch %d: %+v, %v", k, i, e, err)
			}
		}
	}
}

// runTrial works on a disk that fails once, and demands that everything ends as it should: nobody hangs, what was
// acknowledged can be read, and what was durable is there when the index is opened again.
func runTrial(t *testing.T, d *trial) {
	t.Helper()
	failures := make(chan error, 2)
	o := d.options()
	o.OnFailure = func(err error) { failures <- err }
	x, err := index.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	d.watch()
	var acked, durable int
	within(t, "work", func() { acked, durable = work(x, workBatches) })
	if d.wasHit() {
		within(t, "failing", func() { <-x.Failed() })
		wantFailed(t, x, d.err, acked)
	}
	within(t, "close", func() { err = x.Close() })
	switch hit := d.wasHit(); {
	case !hit && err != nil:
		t.Errorf("close: %v", err)
	case hit && (!errors.Is(err, index.ErrFailed) || !errors.Is(err, d.err)):
		t.Errorf("close: %v, want it to fail with %v", err, d.err)
	case hit && acked < workBatches && len(failures) != 1:
		t.Errorf("the failure was reported %d times", len(failures))
	}
	d.disk.SetHook(nil)
	within(t, "opening again", func() {
		// The batch after those that were acknowledged may have come through, and deleted what is older.
		wantBlobs(t, open(t, d.options()), acked-workWindow+1, durable)
	})
}

// wantFailed tries all that can be done with a failed index.
func wantFailed(t *testing.T, x *index.Index, cause error, acked int) {
	t.Helper()
	if err := x.Err(); !errors.Is(err, index.ErrFailed) || !errors.Is(err, cause) {
		t.Errorf("latched %v, want %v", err, cause)
	}
	within(t, "reading a failed index", func() {
		wantBlobs(t, x, acked-workWindow+1, acked)
		_ = x.Stats()
		if _, err := x.Segments(); err != nil {
			t.Error(err)
		}
		_ = order(t, x, 0)
	})
	b := x.NewBatch()
	b.SetMeta(index.Meta{})
	within(t, "commit and sync on a failed index", func() {
		if err := b.Commit(true); !errors.Is(err, index.ErrFailed) {
			t.Errorf("commit: %v", err)
		}
		if err := x.Sync(); !errors.Is(err, index.ErrFailed) {
			t.Errorf("sync: %v", err)
		}
	})
}

// TestFailingDisk makes calls of every kind on every kind of file fail, one a run.
func TestFailingDisk(t *testing.T) {
	dry := newTrial()
	x := open(t, dry.options())
	dry.watch()
	if acked, _ := work(x, workBatches); acked != workBatches {
		t.Fatalf("only %d batches on a disk that works", acked)
	}
	within(t, "settling", func() { settle(dry.disk) })
	for _, want := range []call{
		{crashfs.OpCreate, "log"}, {crashfs.OpRename, "log"}, {crashfs.OpWrite, "log"}, {crashfs.OpSync, "log"},
		{crashfs.OpCreate, "sst"}, {crashfs.OpWrite, "sst"}, {crashfs.OpSync, "sst"},
		{crashfs.OpWrite, "manifest"}, {crashfs.OpSync, "manifest"}, {crashfs.OpSyncDir, "folder"},
	} {
		if dry.seen[want] == 0 {
			t.Errorf("the work never does %s", want)
		}
	}
	tried := 0
	for c, n := range dry.seen {
		if c.kind == crashfs.OpRemove {
			continue // costs space only
		}
		for i, at := range points(n, 3) {
			err := []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS}[i%3]
			t.Run(fmt.Sprintf("%s %d of %d %v", c, at, n, err), func(t *testing.T) {
				d := newTrial()
				d.fail, d.n, d.err = c, at, err
				runTrial(t, d)
				if d.wasHit() {
					tried++
				}
			})
		}
	}
	if tried < 20 {
		t.Errorf("only %d calls failed", tried)
	}
}

// points is at most n numbers spread over 1 to last, both ends included.
func points(last, n int) []int {
	var at []int
	for i := range min(n, last) {
		at = append(at, 1+i*(last-1)/max(1, min(n, last)-1))
	}
	return slices.Compact(at)
}

// settle waits until no more is written.
func settle(disk *crashfs.FS) {
	for quiet, last := 0, -1; quiet < 20; {
		time.Sleep(5 * time.Millisecond) // there is no event for "nothing happens"
		if ops := disk.Ops(); ops != last {
			last, quiet = ops, 0
		} else {
			quiet++
		}
	}
}
