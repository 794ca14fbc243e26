package disk_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// TestManyCallsAtOnce mixes all calls on a store that has to evict. Whatever the order, every answer is right, and in the
// end the index, the account and the folder agree.
func TestManyCallsAtOnce(t *testing.T) {
	for _, policy := range []string{"interval", "never"} {
		t.Run(policy, func(t *testing.T) {
			dir := t.TempDir()
			o := capped(dir)
			o.Sync = policy
			s := open(t, o)
			walked(t, s)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			blobs := make([]blob.Verified, 60)
			for i := range blobs {
				blobs[i] = makeBlob(t, uint64(i), mib-i*1000)
			}
			var wg sync.WaitGroup
			for worker := range uint64(6) {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, worker))
					for range 80 {
						anyCall(t, s, rng, blobs[rng.IntN(len(blobs))])
					}
				})
			}
			wg.Wait()
			eventually(t, "rest", func() bool { st := s.Stats(); return st.Used <= o.MaxSize-mib && st.Pending == 0 })
			if err := s.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			agree(t, s, dir)
			for _, v := range blobs {
				if err := s.Delete(t.Context(), v.Hash()); err != nil {
					t.Error(err)
				}
			}
			agree(t, s, dir)
			if st := s.Stats(); st.Blobs != 0 || st.LiveBytes != 0 || st.SDBytes != 0 || st.PutsInFlight != 0 {
				t.Errorf("an empty store counts %+v", st)
			}
		})
	}
}

// anyCall makes one call on a blob.
func anyCall(t *testing.T, s *disk.Store, rng *rand.Rand, v blob.Verified) {
	switch rng.IntN(10) {
	case 0, 1, 2, 3:
		kind := blob.Kind(rng.IntN(2))
		if err := s.Put(t.Context(), v, kind); err != nil && !errors.Is(err, blob.ErrFull) {
			t.Errorf("Put: %v", err)
		}
	case 4:
		if err := s.Delete(t.Context(), v.Hash()); err != nil {
			t.Errorf("Delete: %v", err)
		}
	case 5:
		if _, err := s.Has(t.Context(), v.Hash()); err != nil {
			t.Errorf("Has: %v", err)
		}
	default:
		h, err := s.Get(t.Context(), v.Hash())
		if errors.Is(err, blob.ErrNotFound) {
			return
		}
		if err != nil {
			t.Errorf("Get: %v", err)
			return
		}
		defer h.Release()
		got := make([]byte, h.Size())
		if n, err := h.ReadAt(got, 0); n != len(got) || blob.Sum(got) != v.Hash() {
			t.Errorf("Get: %d of %d bytes, or wrong ones: %v", n, len(got), err)
		}
	}
}

// agree compares what is counted with what is in the folder.
func agree(t *testing.T, s *disk.Store, dir string) {
	t.Helper()
	files, bytes := int64(0), int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, err := blob.ParseHash(filepath.Base(path)); err != nil {
			return nil
		}
		info, err := d.Info()
		if err == nil {
			files++
			bytes += (info.Size() + 4095) &^ 4095
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Blobs != files || st.LiveBytes != bytes {
		t.Errorf("%d blobs of %d bytes are counted, and %d files of %d are there", st.Blobs, st.LiveBytes, files, bytes)
	}
}
