package disk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/stores/disk"
)

const mib = 1 << 20

// capped is a sharded store of 64 MiB, of which 24 are the index's reserve and 2 the headroom.
func capped(dir string) disk.Options {
	return disk.Options{MountPoint: dir, ShardingSize: 2, MaxSize: 64 * mib, MinFree: 1}
}

// watchSize demands that du never says more than the cap, until stop.
func watchSize(t *testing.T, dir string, limit int64) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if n := onDisk(t, dir); n > limit {
				t.Errorf("%d bytes are on disk, and the cap is %d", n, limit)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func TestCapIsHeldByEviction(t *testing.T) {
	for _, sync := range []string{"interval", "always", "never"} {
		t.Run(sync, func(t *testing.T) { capHolds(t, sync) })
	}
}

func capHolds(t *testing.T, policy string) {
	dir := t.TempDir()
	o := capped(dir)
	o.Sync = policy
	s := open(t, o)
	walked(t, s)
	stop := watchSize(t, dir, o.MaxSize)
	const blobs = 110
	var wg sync.WaitGroup
	var mu sync.Mutex
	var stored []blob.Verified // in the order of their puts
	for worker := range 3 {
		wg.Go(func() {
			for i := worker; i < blobs; i += 3 {
				v := makeBlob(t, uint64(i), 1*mib-i)
				err := s.Put(t.Context(), v, blob.KindContent)
				for errors.Is(err, blob.ErrFull) { // eviction cannot keep up with a busy machine: blobs pass through
					err = s.Put(t.Context(), v, blob.KindContent)
				}
				if err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				mu.Lock()
				stored = append(stored, v)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	stop()
	// The index grows after its puts and is measured behind; its reserve covers that until eviction has made up for it.
	eventually(t, "rest", func() bool { return s.Stats().Used <= o.MaxSize-mib })
	st := s.Stats()
	if st.Evicted < blobs-50 || st.LastEvictedAge <= 0 {
		t.Errorf("evicted %d of %d, used %d, last age %v", st.Evicted, blobs, st.Used, st.LastEvictedAge)
	}
	hits, young := 0, 0
	for i, v := range stored {
		got, err := read(t, s, v.Hash())
		switch {
		case err == nil && len(got) == len(v.Bytes()):
			hits++
			if i >= blobs-24 {
				young++
			}
		case !errors.Is(err, blob.ErrNotFound):
			t.Errorf("%v", err)
		}
	}
	if hits < 24 || young < 20 {
		t.Errorf("%d blobs are left, %d of the youngest 24", hits, young)
	}
	if after := s.Stats().Blobs; int64(hits) > st.Blobs || int64(hits) < after {
		t.Errorf("%d blobs are left, and %d were counted, then %d", hits, st.Blobs, after)
	}
}

func TestWhatIsReadStaysAndSDBlobsToo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, capped(dir))
	walked(t, s)
	hot, sd, cold := makeBlob(t, 1, mib), makeBlob(t, 2, 1000), makeBlob(t, 3, mib)
	put(t, s, hot)
	put(t, s, cold)
	if err := s.Put(t.Context(), sd, blob.KindSD); err != nil {
		t.Fatal(err)
	}
	for i := range 80 {
		put(t, s, makeBlob(t, uint64(10+i), mib))
		if _, err := read(t, s, hot.Hash()); err != nil {
			t.Fatalf("after %d puts: %v", i, err)
		}
	}
	wantHit(t, s, sd)
	wantMiss(t, s, cold.Hash())
	if s.Stats().Kept == 0 {
		t.Error("nothing was kept on purpose")
	}
}

func TestReadersHoldTheirSpace(t *testing.T) {
	dir := t.TempDir()
	o := capped(dir)
	s := open(t, o)
	walked(t, s)
	var held []blob.Handle
	var want []blob.Verified
	// Pin all that fits. It is kept while it is read, so in the end nothing can be evicted, and puts pass through.
	full := false
	for i := 0; i < 100 && !full; i++ {
		v := makeBlob(t, uint64(i), 2*mib)
		err := s.Put(t.Context(), v, blob.KindContent)
		if full = errors.Is(err, blob.ErrFull); full {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		held, want = append(held, h), append(want, v)
	}
	if !full {
		t.Fatal("everything is pinned, and there is still room")
	}
	// Deleted blobs stay charged until they are released.
	used := s.Stats().Used
	for _, v := range want {
		if err := s.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Used < used-mib || st.Pending < int64(len(want))*2*mib || st.Blobs != 0 {
		t.Errorf("used %d of %d before, %d pending, %d blobs", st.Used, used, st.Pending, st.Blobs)
	}
	late := makeBlob(t, 1000, 2*mib)
	if err := s.Put(t.Context(), late, blob.KindContent); !errors.Is(err, blob.ErrFull) {
		t.Errorf("Put while deleted blobs are read: %v, want ErrFull", err)
	}
	for i, h := range held {
		got := make([]byte, h.Size())
		if _, err := h.ReadAt(got, 0); err != nil || blob.Sum(got) != want[i].Hash() {
			t.Errorf("a deleted blob that is read: %v", err)
		}
		h.Release()
	}
	if st := s.Stats(); st.Pending != 0 {
		t.Errorf("%d bytes are pending with no reader", st.Pending)
	}
	put(t, s, late)
	wantHit(t, s, late)
}

func TestSmallerCapShrinksBehind(t *testing.T) {
	dir := t.TempDir()
	o := capped(dir)
	o.MaxSize = 200 * mib
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	walked(t, s)
	for i := range 120 {
		put(t, s, makeBlob(t, uint64(i), mib))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.MaxSize = 64 * mib
	s = open(t, o)
	eventually(t, "the smaller cap", func() bool { return s.Stats().Used <= o.MaxSize && onDisk(t, dir) <= o.MaxSize })
	wantHit(t, s, makeBlob(t, 119, mib))
	wantMiss(t, s, makeBlob(t, 0, mib).Hash())
}

func TestOldCacheAboveTheCap(t *testing.T) {
	dir := t.TempDir()
	hour := time.Now().Add(-100 * time.Hour)
	var all []blob.Verified
	for i := range 90 {
		v := makeBlob(t, uint64(i), mib)
		path := plant(t, dir, v.Hash(), 2, v.Bytes())
		used := hour.Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(path, used, used); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	o := capped(dir)
	s := open(t, o)
	eventually(t, "the cap", func() bool { return s.Stats().Used <= o.MaxSize && onDisk(t, dir) <= o.MaxSize })
	for i, v := range all { // the order is that of their last use
		if i < 40 {
			wantMiss(t, s, v.Hash())
		} else if i >= 60 {
			wantHit(t, s, v)
		}
	}
}

// crowded is the machine's file system with as much free space as it is told.
type crowded struct {
	diskfs.FS
	mu   sync.Mutex
	free int64
}

func (c *crowded) Usage(path string) (diskfs.Usage, error) {
	u, err := c.FS.Usage(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	u.Total, u.Free = 1<<40, c.free
	return u, err
}

func (c *crowded) set(free int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = free
}

func TestMinFreeIsKept(t *testing.T) {
	dir := t.TempDir()
	c := &crowded{FS: diskfs.OS(), free: 200 * mib}
	s := open(t, disk.Options{MountPoint: dir, ShardingSize: 2, MinFree: 50 * mib, FS: c})
	walked(t, s)
	for i := range 20 {
		put(t, s, makeBlob(t, uint64(i), mib))
	}
	// Somebody else fills the disk: what is stored goes until min_free is kept, and then fills pass through.
	c.set(40 * mib)
	eventually(t, "eviction for min_free", func() bool { return s.Stats().Blobs == 0 })
	v := makeBlob(t, 100, mib)
	if err := s.Put(t.Context(), v, blob.KindContent); !errors.Is(err, blob.ErrFull) {
		t.Errorf("Put on a crowded disk: %v, want ErrFull", err)
	}
	c.set(200 * mib)
	eventually(t, "room again", func() bool { return s.Put(t.Context(), v, blob.KindContent) == nil })
	wantHit(t, s, v)
}

func TestHitsWriteNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, disk.Options{MountPoint: dir, ShardingSize: 2})
	walked(t, s)
	v := makeBlob(t, 1, 100_000)
	put(t, s, v)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHit(t, s, v)
	stamp := func() map[string]time.Time {
		m := map[string]time.Time{}
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && !info.IsDir() {
				m[path] = info.ModTime()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	before := stamp()
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
		wantHit(t, s, v)
	}
	after := stamp()
	for path, at := range after {
		if !before[path].Equal(at) {
			t.Errorf("%s was written by hits", path)
		}
	}
}

// TestKeepAllEvictsNothing fills a store that must not evict: puts are turned away then, and taken again after removals.
func TestKeepAllEvictsNothing(t *testing.T) {
	o := capped(t.TempDir())
	o.KeepAll = true
	s := open(t, o)
	if err := s.WaitRecovered(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []blob.Verified
	for i := range uint64(64) {
		v := makeBlob(t, i, mib)
		err := s.Put(t.Context(), v, blob.KindContent)
		if errors.Is(err, blob.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if st := s.Stats(); st.Evicted != 0 || st.Blobs != int64(len(all)) || len(all) < 16 || len(all) == 64 {
		t.Errorf("of %d blobs %d are left, %d were evicted", len(all), st.Blobs, st.Evicted)
	}
	for _, v := range all[:4] {
		if err := s.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, makeBlob(t, 100, mib))
}
