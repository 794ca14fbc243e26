package engine_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// openSmall opens a mount in memory, and closes it with the test.
func openSmall(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// TestGetLooksUpAgain replaces a record while others read it: what died between a look-up and its pin is looked up
// again, and nobody sees an error, or another blob's bytes.
func TestGetLooksUpAgain(t *testing.T) {
	e := openSmall(t, small(mountFS(t)))
	v := randomBlob(t, 70_000)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				h, err := e.Get(t.Context(), v.Hash())
				if errors.Is(err, blob.ErrNotFound) {
					continue
				}
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				var got bytes.Buffer
				if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), v.Bytes()) {
					t.Errorf("wrong bytes, %v", err)
				}
				h.Release()
			}
		})
	}
	for range 200 {
		mustPut(t, e, v)
		mustGet(t, e, v) // the table of hot records now has a place that the next put makes wrong
		if err := e.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	done.Store(true)
	wg.Wait()
	mustPut(t, e, v)
	mustGet(t, e, v)
	if s := e.Stats(); s.Quarantined+s.IOErrors["corrupt"]+s.IOErrors["read"] != 0 {
		t.Errorf("%d records were taken for damaged, %v", s.Quarantined, s.IOErrors)
	}
}

// TestRemovedAfterItsPin deletes a blob while its first reader is about to read the slot, which then says that the record is
// dead. That is no damage: the reader looks again, and finds nothing, or what was put instead.
func TestRemovedAfterItsPin(t *testing.T) {
	for _, again := range []bool{false, true} {
		fs := mountFS(t)
		v := randomBlob(t, 70_000)
		first, err := engine.Open(t.Context(), small(fs))
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, first, v)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		e := openSmall(t, small(fs)) // to which the record is new
		if err := e.WaitRecovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		var met atomic.Bool
		fs.SetReadHook(func(op crashfs.Op) error {
			if op.Kind != crashfs.OpRead || !isSegment(op.Path) || op.Len != segments.SlotSize || met.Swap(true) {
				return nil
			}
			if err := e.Delete(t.Context(), v.Hash()); err != nil {
				t.Error(err)
			}
			if again {
				mustPut(t, e, v)
			}
			return nil
		})
		h, err := e.Get(t.Context(), v.Hash())
		fs.SetReadHook(nil)
		switch {
		case !met.Load():
			t.Fatal("the slot was not read")
		case again && err != nil, !again && !errors.Is(err, blob.ErrNotFound):
			t.Errorf("put again: %v: %v", again, err)
		case err == nil:
			h.Release()
		}
		if n := e.Stats().IOErrors["corrupt"]; n != 0 {
			t.Errorf("put again: %v: %d records were taken for damaged", again, n)
		}
	}
}

// TestPutsShareSyncs has syncs that take a while: the puts that come meanwhile share the next one.
func TestPutsShareSyncs(t *testing.T) {
	const puts = 64
	fs := mountFS(t)
	o := small(fs)
	o.Sync = engine.SyncAlways
	e := openSmall(t, o)
	eventually(t, "an active segment", func() bool { return e.Stats().Segments["active"] == 1 })
	var syncs atomic.Int64
	fs.SetHook(func(op crashfs.Op) error {
		if op.Kind == crashfs.OpSync && strings.HasSuffix(op.Path, ".seg") {
			syncs.Add(1)
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	})
	var wg sync.WaitGroup
	for range puts {
		v := randomBlob(t, 4096)
		wg.Go(func() { mustPut(t, e, v) })
	}
	wg.Wait()
	fs.SetHook(nil)
	if n := syncs.Load(); n > puts/4 {
		t.Errorf("%d puts took %d syncs", puts, n)
	}
}

// TestMinFree has no cap but what is to stay free on the file system.
func TestMinFree(t *testing.T) {
	const capacity, free = 128 << 20, 48 << 20
	fs := mountFS(t)
	fs.SetCapacity(capacity)
	o := small(fs)
	o.MinFree = free
	e := openSmall(t, o)
	var last blob.Verified
	for i := range 2 * capacity >> 20 {
		last = randomBlob(t, 1<<20)
		mustPut(t, e, last)
		if u, err := fs.Usage("/"); err != nil || u.Free < free {
			t.Fatalf("put %d leaves %d bytes free, %v", i, u.Free, err)
		}
	}
	mustGet(t, e, last)
	if e.Stats().Evicted == 0 {
		t.Error("nothing was evicted")
	}
}

// TestEvictionRunsAhead wants the room for the next segment free once a put was answered and the evictor has come to
// rest, though nobody asked for that room yet.
func TestEvictionRunsAhead(t *testing.T) {
	o := small(mountFS(t))
	o.MaxSize = 96 << 20
	e := openSmall(t, o)
	for range 150 {
		mustPut(t, e, randomBlob(t, 1<<20))
	}
	eventually(t, "room for a segment", func() bool {
		s := e.Stats()
		return s.Segments["active"] == 1 && s.Pending == 0 && s.Used+o.SegmentSize <= s.Limit
	})
	if s := e.Stats(); s.Evicted == 0 || s.Rejected != 0 {
		t.Errorf("evicted %d, turned away %d", s.Evicted, s.Rejected)
	}
}

// TestASmallerCap reopens a full mount with less room: the oldest go, behind.
func TestASmallerCap(t *testing.T) {
	o := small(mountFS(t))
	o.MaxSize = 256 << 20
	e := openSmall(t, o)
	var all []blob.Verified
	for range 150 {
		all = append(all, randomBlob(t, 1<<20))
		mustPut(t, e, all[len(all)-1])
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	o.MaxSize = 96 << 20
	e = openSmall(t, o)
	eventually(t, "the mount to shrink", func() bool { s := e.Stats(); return s.Limit == o.MaxSize && s.Used <= s.Limit })
	for _, v := range all[len(all)-20:] {
		mustGet(t, e, v)
	}
	if ok, err := e.Has(t.Context(), all[0].Hash()); ok || err != nil {
		t.Errorf("the oldest is still there, %v", err)
	}
	mustPut(t, e, randomBlob(t, 1<<20))
}

// TestNeighboursArePunchedAtOnce holds the first punch back until ten neighbours died: the rest goes in one.
func TestNeighboursArePunchedAtOnce(t *testing.T) {
	fs := mountFS(t)
	e := openSmall(t, small(fs))
	var all []blob.Verified
	for range 11 {
		all = append(all, randomBlob(t, 100_000))
		mustPut(t, e, all[len(all)-1])
	}
	deleted := make(chan struct{})
	var punches atomic.Int64
	fs.SetHook(func(op crashfs.Op) error {
		if op.Kind == crashfs.OpPunch && punches.Add(1) == 1 {
			<-deleted
		}
		return nil
	})
	for _, v := range all[:10] {
		if err := e.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	close(deleted)
	eventually(t, "the space to be given back", func() bool { return e.Stats().Pending == 0 && punches.Load() > 0 })
	fs.SetHook(nil)
	if n := punches.Load(); n > 3 {
		t.Errorf("10 neighbours took %d punches", n)
	}
	mustGet(t, e, all[10])
}

// TestEmptySegmentsAreUnlinked deletes all that a sealed segment holds.
func TestEmptySegmentsAreUnlinked(t *testing.T) {
	fs := mountFS(t)
	o := small(fs)
	o.SegmentSize = blob.MaxSize
	e := openSmall(t, o)
	var all []blob.Verified
	for range 4 {
		all = append(all, randomBlob(t, blob.MaxSize))
		mustPut(t, e, all[len(all)-1])
	}
	for _, v := range all[:2] {
		if err := e.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two segments to go", func() bool { return e.Stats().Unlinked == 2 })
	for _, v := range all[2:] {
		mustGet(t, e, v)
	}
}
