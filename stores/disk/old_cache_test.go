package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// oldCache makes a cache folder as programs before this one left it: good files, and every kind of bad one.
type oldCache struct {
	dir  string
	good []blob.Verified
	bad  map[string]blob.Verified // by what is wrong: the blob that should be under the name
	path map[blob.Hash]string
}

func makeOldCache(t *testing.T, prefix int) *oldCache {
	t.Helper()
	c := &oldCache{dir: t.TempDir(), bad: map[string]blob.Verified{}, path: map[blob.Hash]string{}}
	for i, size := range []int{1, 100, 4096, 65_536, 300_000, blob.MaxSize} {
		v := makeBlob(t, uint64(i), size)
		c.good = append(c.good, v)
		c.path[v.Hash()] = plant(t, c.dir, v.Hash(), prefix, v.Bytes())
	}
	for what, spoil := range map[string]func([]byte) []byte{
		"empty":    func([]byte) []byte { return nil },
		"cut":      func(b []byte) []byte { return b[:len(b)-1] },
		"half":     func(b []byte) []byte { return b[:len(b)/2] },
		"flipped":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"zeros":    func(b []byte) []byte { return make([]byte, len(b)) },
		"longer":   func(b []byte) []byte { return append(b, 0) },
		"too long": func([]byte) []byte { return make([]byte, blob.MaxSize+1) },
	} {
		v := makeBlob(t, uint64(100+len(c.bad)), 50_000)
		c.bad[what] = v
		c.path[v.Hash()] = plant(t, c.dir, v.Hash(), prefix, spoil(bytes.Clone(v.Bytes())))
	}
	leftover := makeBlob(t, 900, 5000)
	plant(t, filepath.Join(c.dir, "tmp"), leftover.Hash(), 0, leftover.Bytes()[:2000])
	c.bad["leftover in tmp"] = leftover
	foreign := map[string]string{"README.txt": "not ours", "tmp/notes": "not ours either", ".hidden": "x"}
	for name, text := range foreign {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for name, text := range foreign {
			if got, err := os.ReadFile(filepath.Join(c.dir, name)); err != nil || string(got) != text {
				t.Errorf("%s was touched: %q, %v", name, got, err)
			}
		}
	})
	return c
}

func TestOldCachesAreServed(t *testing.T) {
	for _, prefix := range []int{0, 2, 5} {
		for _, when := range []string{"at once", "after the walk"} {
			t.Run(fmt.Sprint(prefix, " ", when), func(t *testing.T) {
				c := makeOldCache(t, prefix)
				before := map[string]time.Time{}
				for _, v := range c.good {
					info, err := os.Stat(c.path[v.Hash()])
					if err != nil {
						t.Fatal(err)
					}
					before[c.path[v.Hash()]] = info.ModTime()
				}
				o := disk.Options{MountPoint: c.dir, ShardingSize: prefix, HasShardingSize: true}
				s := open(t, o)
				if when == "after the walk" {
					walked(t, s)
				}
				c.check(t, s)
				walked(t, s)
				for path, at := range before { // served, not rewritten
					if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(at) {
						t.Errorf("%s was rewritten: %v", path, err)
					}
				}
				if got := s.Stats(); got.Blobs != int64(len(c.good)) {
					t.Errorf("%d blobs are counted, want %d", got.Blobs, len(c.good))
				}
				c.refill(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				again := open(t, o)
				for _, v := range c.bad {
					wantHit(t, again, v)
				}
				for _, v := range c.good {
					wantHit(t, again, v)
				}
				if n := again.Stats().RecoveredBlobs; n != 0 {
					t.Errorf("%d files were read whole again, though they were proven", n)
				}
			})
		}
	}
}

// check reads everything: good files as they are, bad ones as misses.
func (c *oldCache) check(t *testing.T, s *disk.Store) {
	t.Helper()
	for range 2 {
		for _, v := range c.good {
			wantHit(t, s, v)
		}
		for what, v := range c.bad {
			if has, err := s.Has(t.Context(), v.Hash()); has || err != nil {
				t.Errorf("%s: Has %v, %v", what, has, err)
			}
			if _, err := read(t, s, v.Hash()); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s: %v, want a miss", what, err)
			}
		}
	}
}

// refill puts what was bad.
func (c *oldCache) refill(t *testing.T, s *disk.Store) {
	t.Helper()
	for _, v := range c.bad {
		put(t, s, v)
		wantHit(t, s, v)
	}
}

func TestPutOverABadFileThatNobodyRead(t *testing.T) {
	for _, sync := range []string{"always", "interval", "never"} {
		c := makeOldCache(t, 2)
		s := open(t, disk.Options{MountPoint: c.dir, ShardingSize: 2, Sync: sync})
		c.refill(t, s)
		walked(t, s)
		for _, v := range c.bad {
			wantHit(t, s, v)
		}
	}
}

func TestManyReadersOfOneUnprovenFile(t *testing.T) {
	c := makeOldCache(t, 2)
	s := open(t, disk.Options{MountPoint: c.dir, ShardingSize: 2})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for _, v := range c.good {
				wantHit(t, s, v)
			}
			for what, v := range c.bad {
				if _, err := read(t, s, v.Hash()); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("%s: %v, want a miss", what, err)
				}
			}
		})
	}
	wg.Wait()
	if n := s.Stats().RecoveredBlobs; n != int64(len(c.good)) {
		t.Errorf("%d files were read whole, want each of %d once", n, len(c.good))
	}
}

func TestFilesThatOthersChange(t *testing.T) {
	dir := t.TempDir()
	s := open(t, disk.Options{MountPoint: dir, ShardingSize: 2, Sync: "always"})
	walked(t, s)
	gone, cut, fresh := makeBlob(t, 1, 5000), makeBlob(t, 2, 5000), makeBlob(t, 3, 5000)
	put(t, s, gone)
	put(t, s, cut)
	plant(t, dir, cut.Hash(), 2, cut.Bytes()[:4999])
	plant(t, dir, fresh.Hash(), 2, fresh.Bytes())
	if err := os.Remove(filepath.Join(dir, gone.Hash().String()[:2], gone.Hash().String())); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, s, gone.Hash())
	wantMiss(t, s, cut.Hash())
	wantHit(t, s, fresh)
	if st := s.Stats(); st.Blobs != 1 || st.LiveBytes != 8192 {
		t.Errorf("%d blobs of %d bytes are counted, want 1 of 8192", st.Blobs, st.LiveBytes)
	}
	put(t, s, gone)
	put(t, s, cut)
	wantHit(t, s, gone)
	wantHit(t, s, cut)
}

func TestRowsOfMissingFilesAreDropped(t *testing.T) {
	dir := t.TempDir()
	o := disk.Options{MountPoint: dir, ShardingSize: 2}
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var all []blob.Verified
	for i := range 200 {
		v := makeBlob(t, uint64(i), 1000)
		put(t, s, v)
		all = append(all, v)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, v := range all[:150] {
		if err := os.Remove(filepath.Join(dir, v.Hash().String()[:2], v.Hash().String())); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, o)
	walked(t, s)
	if st := s.Stats(); st.Blobs != 50 || st.LiveBytes != 50*4096 {
		t.Errorf("%d blobs of %d bytes", st.Blobs, st.LiveBytes)
	}
	for _, v := range all[150:] {
		wantHit(t, s, v)
	}
}

func TestDamagedOrDeletedIndexIsMadeAgain(t *testing.T) {
	for _, harm := range []string{"deleted", "manifest cut", "hidden folder deleted"} {
		t.Run(harm, func(t *testing.T) {
			dir := t.TempDir()
			o := disk.Options{MountPoint: dir, ShardingSize: 2}
			s, err := disk.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			v, bad := makeBlob(t, 1, 10_000), makeBlob(t, 2, 10_000)
			put(t, s, v)
			put(t, s, bad)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			plant(t, dir, bad.Hash(), 2, make([]byte, 10_000))
			index := filepath.Join(dir, ".prism", "index")
			switch harm {
			case "deleted":
				err = os.RemoveAll(index)
			case "hidden folder deleted":
				err = os.RemoveAll(filepath.Dir(index))
			default:
				manifests, globErr := filepath.Glob(filepath.Join(index, "MANIFEST-*"))
				if globErr != nil || len(manifests) == 0 {
					t.Fatal(manifests, globErr)
				}
				for _, path := range manifests {
					err = errors.Join(err, os.Truncate(path, 3))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
			wantHit(t, s, v)
			wantMiss(t, s, bad.Hash()) // without the index nothing is taken on trust
			walked(t, s)
			if st := s.Stats(); st.Blobs != 1 {
				t.Errorf("%d blobs", st.Blobs)
			}
		})
	}
}
