package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
)

// wantRefused demands that the file is not opened, with an error that is want and says all words, and that it stays as
// it is.
func wantRefused(t *testing.T, path string, want error, words ...string) {
	t.Helper()
	before, _ := os.ReadFile(path)
	c, err := bolt.Open(bolt.Options{Path: path})
	if err == nil {
		t.Errorf("it was opened: %v", c.Close())
		return
	}
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
}

// filled is the path of a closed catalogue with some rows.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalogue")
	c := open(t, bolt.Options{Path: path})
	hashes := metadatatest.Hashes("filled", 3000)
	if err := c.PutBlobs(t.Context(), metadatatest.Blobs(9, t0(), hashes...)); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), hashes[:1000]); err != nil { // so that there are free pages
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// change changes the meta bucket of a closed file.
func change(t *testing.T, path string, do func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(do), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	write := func(data []byte, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "catalogue")
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wantRefused(t, t.TempDir(), metadata.ErrUnavailable, "folder", "name a file")
	wantRefused(t, "/dev/null", metadata.ErrUnavailable, "no regular file")
	wantRefused(t, filepath.Join(t.TempDir(), "no", "such", "file"), metadata.ErrUnavailable, "make it")
	wantRefused(t, write([]byte(strings.Repeat("text ", 5000)), 0o644), metadata.ErrSchema, "no catalogue")
	wantRefused(t, write([]byte("short"), 0o644), metadata.ErrSchema, "no catalogue")

	path := filled(t)
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, metadata.ErrReadOnly, "chmod")

	path = filled(t)
	change(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("format"), binary.BigEndian.AppendUint64(nil, 2))
	})
	wantRefused(t, path, metadata.ErrSchema, "version 2", "install")
	path = filled(t)
	change(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("links")) })
	wantRefused(t, path, metadata.ErrSchema, "links", "restore")
	path = filepath.Join(t.TempDir(), "other")
	change(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("other")); return err })
	wantRefused(t, path, metadata.ErrSchema, "another program")

	path = filled(t)
	c := open(t, bolt.Options{Path: path})
	wantRefused(t, path, metadata.ErrUnavailable, "another process")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := bolt.Open(bolt.Options{}); !errors.Is(err, metadata.ErrOptions) {
		t.Errorf("without a path: %v", err)
	}
	if _, err := bolt.Open(bolt.Options{Path: path, Tracking: 3}); !errors.Is(err, metadata.ErrOptions) {
		t.Errorf("tracking 3: %v", err)
	}
}

// A file that is cut short anywhere is refused or, where an older commit is whole, opened without a panic.
func TestCutFile(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1; size < len(whole); size += 4093 * 3 {
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := bolt.Open(bolt.Options{Path: cut})
		if err != nil {
			if !strings.Contains(err.Error(), "restore it from a copy") {
				t.Fatalf("cut at %d: %v", size, err)
			}
			continue
		}
		if _, err := c.Stored(t.Context(), metadatatest.Hashes("filled", 3000)); err != nil {
			t.Errorf("cut at %d, and opened: %v", size, err) // what was cut were pages that nothing uses
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Damaged pages are errors that say what to do, never a panic, and what they do not concern goes on.
func TestDamagedPages(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	hashes := metadatatest.Hashes("filled", 3000)
	for range 30 {
		data := bytes.Clone(whole)
		for range 10 { // pages of garbage, after the two that say where all begins
			page := data[4096*(2+rnd.IntN(len(data)/4096-2)):][:4096]
			for i := range page {
				page[i] = byte(rnd.Uint32())
			}
		}
		damaged := filepath.Join(t.TempDir(), "damaged")
		if err := os.WriteFile(damaged, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := bolt.Open(bolt.Options{Path: damaged})
		if err != nil {
			if !strings.Contains(err.Error(), "restore it from a copy") {
				t.Error(err)
			}
			continue
		}
		_, err1 := c.Stored(t.Context(), hashes)
		err2 := c.Walk(t.Context(), hashes[0], func(metadata.Row) error { return nil })
		err3 := c.PutBlobs(t.Context(), metadatatest.Blobs(9, t0(), hashes...))
		err4 := c.Delete(t.Context(), hashes)
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil && !errors.Is(err, metadata.ErrUnavailable) {
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file that somebody cuts while it is open fails calls, and neither ends the process nor holds anything up.
func TestCutWhileOpen(t *testing.T) {
	leaktest.Check(t)
	path := filled(t)
	c := open(t, bolt.Options{Path: path, Tracking: metadata.TrackBlobs})
	if err := os.Truncate(path, 2*4096); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		metadatatest.Every(t, t.Context(), c, metadata.ErrUnavailable)
	}
	if err := c.Close(); !errors.Is(err, metadata.ErrUnavailable) {
		t.Errorf("Close: %v, want to hear that the file was not closed", err)
	}
}
