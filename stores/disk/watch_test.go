package disk_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// mirror is what a listener makes of a store that it watches.
type mirror struct {
	store *disk.Store
	mu    sync.Mutex
	dirty map[blob.Hash]struct{}
	has   map[blob.Hash]int64
}

func watch(s *disk.Store) *mirror {
	m := &mirror{store: s, dirty: map[blob.Hash]struct{}{}, has: map[blob.Hash]int64{}}
	s.OnChange(func(h blob.Hash) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.dirty[h] = struct{}{}
	})
	return m
}

// settle looks at what has changed.
func (m *mirror) settle(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	dirty := slices.Collect(maps.Keys(m.dirty))
	clear(m.dirty)
	m.mu.Unlock()
	for _, h := range dirty {
		size, _, found, err := m.store.Look(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if delete(m.has, h); found {
			m.has[h] = size
		}
	}
}

// listed is all that a store lists, which must be in order.
func listed(t *testing.T, s *disk.Store, from blob.Hash) map[blob.Hash]int64 {
	t.Helper()
	all := map[blob.Hash]int64{}
	last := from
	err := s.List(t.Context(), from, func(h blob.Hash, size int64, _ blob.Kind) error {
		if bytes.Compare(h[:], last[:]) < 0 {
			t.Errorf("%s is listed after %s", h.Short(), last.Short())
		}
		last, all[h] = h, size
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestListenersKnowAll demands that a listener which looks at what it is told about ends up knowing exactly what is
// there: after puts, deletes, evictions, and a file that turns out to be bad.
func TestListenersKnowAll(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		t.Run(string(mode), func(t *testing.T) {
			o := disk.Options{MountPoint: t.TempDir(), Mode: mode, MaxSize: 96 * mib, MinFree: 1}
			if mode == disk.ModeSegments {
				o.SegmentSize = 8 * mib
			}
			s := open(t, o)
			m := watch(s)
			var all []blob.Verified
			for i := range 90 {
				v := makeBlob(t, uint64(i), mib+i)
				put(t, s, v)
				if all = append(all, v); i%7 == 0 {
					if err := s.Delete(t.Context(), all[i/2].Hash()); err != nil {
						t.Fatal(err)
					}
				}
			}
			eventually(t, "evictions", func() bool { return s.Stats().Evicted > 5 })
			eventually(t, "agreement", func() bool { m.settle(t); return maps.Equal(m.has, listed(t, s, blob.Hash{})) })
			has := listed(t, s, blob.Hash{})
			for _, v := range all {
				if size, there := has[v.Hash()]; there && size != v.Size() {
					t.Errorf("a blob of %d bytes is listed with %d", v.Size(), size)
				}
			}
			middle := all[45].Hash()
			for h := range listed(t, s, middle) {
				if bytes.Compare(h[:], middle[:]) < 0 {
					t.Errorf("%s is below where the list was to begin", h.Short())
				}
				delete(has, h)
			}
			for h := range has {
				if bytes.Compare(h[:], middle[:]) >= 0 {
					t.Errorf("%s was left out", h.Short())
				}
			}
		})
	}
}

func TestListenersHearOfBadBlobs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, disk.Options{MountPoint: dir, ShardingSize: 2})
	walkOf(t, s) // a walk that meets the file while it is made, and empty, deletes it
	v := makeBlob(t, 1, 5000)
	path := plant(t, dir, v.Hash(), 2, v.Bytes()[:4000]) // a row comes with the next open
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	s = open(t, disk.Options{MountPoint: dir, ShardingSize: 2})
	m := watch(s)
	if has := listed(t, s, blob.Hash{}); has[v.Hash()] != 4000 {
		t.Fatalf("listed %v, want the file that was found", has)
	}
	wantMiss(t, s, v.Hash())
	if _, told := m.dirty[v.Hash()]; !told {
		t.Error("the listener was not told that the file is bad")
	}
	if _, _, found, err := s.Look(t.Context(), v.Hash()); found || err != nil {
		t.Errorf("Look: %v, %v", found, err)
	}
}

// TestListenersLearnWhatTheyMissed demands that a listener that comes late is told so.
func TestListenersLearnWhatTheyMissed(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		s := open(t, disk.Options{MountPoint: t.TempDir(), Mode: mode})
		walkOf(t, s)
		if s.OnChange(func(blob.Hash) {}) {
			t.Errorf("%s: something was missed in a store that is new", mode)
		}
		s = open(t, disk.Options{MountPoint: t.TempDir(), Mode: mode})
		put(t, s, makeBlob(t, 1, 10))
		if !s.OnChange(func(blob.Hash) {}) {
			t.Errorf("%s: a put was missed, and nobody said so", mode)
		}
	}
}

// walkOf waits until what the last run left over is done.
func walkOf(t *testing.T, s *disk.Store) {
	t.Helper()
	if err := s.List(t.Context(), blob.Hash{}, func(blob.Hash, int64, blob.Kind) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestListEnds(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		s := open(t, disk.Options{MountPoint: t.TempDir(), Mode: mode})
		for i := range 3 {
			put(t, s, makeBlob(t, uint64(i), 10+i))
		}
		stop := errors.New("enough")
		seen := 0
		err := s.List(t.Context(), blob.Hash{}, func(blob.Hash, int64, blob.Kind) error { seen++; return stop })
		if err != stop || seen != 1 {
			t.Errorf("%s: List returned %v after %d", mode, err, seen)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.List(ctx, blob.Hash{}, func(blob.Hash, int64, blob.Kind) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: List with an ended context: %v", mode, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, _, _, err = s.Look(t.Context(), blob.Hash{})
		if !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("%s: Look after Close: %v", mode, err)
		}
		if err := s.List(t.Context(), blob.Hash{}, func(blob.Hash, int64, blob.Kind) error { return nil }); !errors.Is(err, blob.ErrUnavailable) {
			t.Errorf("%s: List after Close: %v", mode, err)
		}
	}
}

// TestBesideIsCharged demands that what others keep on the mount takes room from the blobs.
func TestBesideIsCharged(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		t.Run(string(mode), func(t *testing.T) {
			o := disk.Options{MountPoint: t.TempDir(), Mode: mode, MaxSize: 128 * mib, MinFree: 1}
			if mode == disk.ModeSegments {
				o.SegmentSize = 8 * mib
			}
			s := open(t, o)
			if want := filepath.Join(o.MountPoint, ".prism", "journal"); s.Folder("journal") != want {
				t.Errorf("Folder is %s, want %s", s.Folder("journal"), want)
			}
			var bytes atomic.Int64
			s.ChargeBeside(bytes.Load)
			for i := range 40 {
				put(t, s, makeBlob(t, uint64(i), mib))
			}
			if n := s.Stats().Evicted; n != 0 {
				t.Fatalf("%d blobs were evicted below the cap", n)
			}
			bytes.Store(64 * mib)
			eventually(t, "evictions to make room for what is beside", func() bool { return s.Stats().Evicted > 0 })
		})
	}
}
