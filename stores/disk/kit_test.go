package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// makeBlob makes bytes that depend on seed and size alone.
func makeBlob(t testing.TB, seed uint64, size int) blob.Verified {
	t.Helper()
	data := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = rng.Read(data)
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// plant puts bytes where an old cache has a blob.
func plant(t testing.TB, root string, h blob.Hash, prefix int, data []byte) string {
	t.Helper()
	path := filepath.Join(root, h.String()[:prefix], h.String())
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func put(t testing.TB, s *disk.Store, v blob.Verified) {
	t.Helper()
	eventually(t, "room for a blob", func() bool {
		err := s.Put(t.Context(), v, blob.KindContent)
		if err != nil && !errors.Is(err, blob.ErrFull) { // on a busy machine eviction may not keep up
			t.Fatalf("Put of %d bytes: %v", v.Size(), err)
		}
		return err == nil
	})
}

// read is a blob's bytes, or why there are none.
func read(t testing.TB, s *disk.Store, h blob.Hash) ([]byte, error) {
	handle, err := s.Get(t.Context(), h)
	if err != nil {
		return nil, err
	}
	defer handle.Release()
	var buf bytes.Buffer
	if _, err := handle.WriteTo(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func wantHit(t testing.TB, s *disk.Store, v blob.Verified) {
	t.Helper()
	if has, err := s.Has(t.Context(), v.Hash()); !has || err != nil {
		t.Errorf("Has of a blob of %d bytes: %v, %v", v.Size(), has, err)
	}
	if got, err := read(t, s, v.Hash()); err != nil || !bytes.Equal(got, v.Bytes()) {
		t.Errorf("blob of %d bytes: got %d, %v", v.Size(), len(got), err)
	}
}

func wantMiss(t testing.TB, s *disk.Store, h blob.Hash) {
	t.Helper()
	if has, err := s.Has(t.Context(), h); has || err != nil {
		t.Errorf("Has: %v, %v, want a miss", has, err)
	}
	if got, err := read(t, s, h); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("got %d bytes, %v, want a miss", len(got), err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// walked waits until the store has looked at all files.
func walked(t testing.TB, s *disk.Store) {
	t.Helper()
	eventually(t, "end of the walk", func() bool { return !s.Stats().Recovering })
}

// onDisk is what du says of a folder, in bytes.
func onDisk(t testing.TB, dir string) int64 {
	t.Helper()
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it went away meanwhile
		}
		if info, err := d.Info(); err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return total
}
