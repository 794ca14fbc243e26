package dbbacked_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// throughMem is write_through over memory.
func throughMem(t *testing.T, o dbbacked.Options) (*dbbacked.Store, *storetest.Bent, *away) {
	t.Helper()
	leaktest.Check(t)
	child := storetest.Bend(mem.New(mem.Options{}))
	cat := &away{Catalogue: openBolt(t, filepath.Join(t.TempDir(), "c.db"))}
	o.Store, o.Catalogue, o.AskTimeout = child, cat, 50*time.Millisecond
	return openStore(t, o), child, cat
}

func TestPutIsCommitted(t *testing.T) {
	s, child, cat := throughMem(t, dbbacked.Options{})
	v := storetest.Blob(t, 1, 1000)
	put(t, s, v, blob.KindContent)
	if row, known := rowOf(t, cat, v.Hash()); !known || !row.Stored || row.Length != 1000 {
		t.Errorf("row %+v, %v", row, known)
	}
	child.Fail(errors.New("the bucket burns"))
	w := storetest.Blob(t, 2, 1000)
	if err := s.Put(t.Context(), w, blob.KindContent); err == nil || storedIn(t, cat, w.Hash()) {
		t.Errorf("a put without bytes: %v", err)
	}
	child.Fail(nil)
	if err := s.Delete(t.Context(), v.Hash()); err != nil || storedIn(t, cat, v.Hash()) {
		t.Errorf("after a Delete (%v) the catalogue has the blob", err)
	}
}

// TestCatalogueAway demands that reads go on, and that no put is acknowledged that is not committed.
func TestCatalogueAway(t *testing.T) {
	for name, mood := range map[string]int32{"gone": gone, "frozen": frozen} {
		t.Run(name, func(t *testing.T) {
			s, _, cat := throughMem(t, dbbacked.Options{})
			v, w := storetest.Blob(t, 1, 1000), storetest.Blob(t, 2, 1000)
			put(t, s, v, blob.KindContent)
			cat.mood.Store(mood)
			for range 5 {
				hit(t, s, v.Hash())
				if has, err := s.Has(t.Context(), v.Hash()); !has || err != nil {
					t.Errorf("Has: %v, %v", has, err)
				}
				if has, err := s.Has(t.Context(), w.Hash()); has || err != nil {
					t.Errorf("Has of a missing blob: %v, %v", has, err)
				}
			}
			if mood == gone {
				if err := s.Put(t.Context(), w, blob.KindContent); !errors.Is(err, blob.ErrUnavailable) {
					t.Errorf("Put: %v", err)
				}
			}
			if _, _, err := s.Wants(t.Context(), w.Hash()); !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("Wants: %v", err)
			}
			if _, known, err := s.MissingForStream(t.Context(), w.Hash()); known || err != nil {
				t.Errorf("MissingForStream: %v, %v", known, err)
			}
			if st := s.Stats(); st.Errors == 0 || st.Failing == 0 {
				t.Errorf("Stats: %+v", st)
			}
			cat.mood.Store(here)
			eventually(t, "the catalogue's return", func() bool {
				_, _, err := s.Wants(t.Context(), w.Hash())
				return err == nil
			})
			put(t, s, w, blob.KindContent)
			if !storedIn(t, cat, w.Hash()) {
				t.Error("the put is not committed")
			}
		})
	}
}

func TestWantsAndBlocks(t *testing.T) {
	s, _, _ := throughMem(t, dbbacked.Options{})
	v := storetest.Blob(t, 1, 1000)
	f := func(wanted, blocked bool) {
		t.Helper()
		w, b, err := s.Wants(t.Context(), v.Hash())
		if w != wanted || b != blocked || err != nil {
			t.Errorf("Wants: %v, %v, %v", w, b, err)
		}
	}
	f(true, false)
	put(t, s, v, blob.KindContent)
	f(false, false)
	if err := s.Block(t.Context(), []blob.Hash{v.Hash()}); err != nil {
		t.Fatal(err)
	}
	f(false, true)
	hit(t, s, v.Hash()) // it is served all the same
	if err := s.Delete(t.Context(), v.Hash()); err != nil {
		t.Fatal(err)
	}
	f(false, true)
}

// TestMissingForStream demands that nothing is called whole that lacks a blob, whatever links the catalogue has.
func TestMissingForStream(t *testing.T) {
	s, child, cat := throughMem(t, dbbacked.Options{})
	var content []blob.Verified
	for i := range 5 {
		content = append(content, storetest.Blob(t, uint64(i), 100+i))
	}
	sd := sdOf(t, content...)
	f := func(known bool, want ...blob.Verified) {
		t.Helper()
		missing, k, err := s.MissingForStream(t.Context(), sd.Hash())
		var hashes []blob.Hash
		for _, v := range want {
			hashes = append(hashes, v.Hash())
		}
		if !slices.Equal(missing, hashes) || k != known || err != nil {
			t.Errorf("missing %d of %d, %v, %v", len(missing), len(want), k, err)
		}
	}
	f(false)
	put(t, s, sd, blob.KindSD)
	f(true, content...)
	for _, v := range content[:4] {
		put(t, s, v, blob.KindContent)
	}
	f(true, content[4])
	put(t, s, content[4], blob.KindContent)
	f(true)
	if err := s.Delete(t.Context(), content[2].Hash()); err != nil {
		t.Fatal(err)
	}
	f(true, content[2])

	// Somebody else's rows with too few links.
	other := sdOf(t, content[0], content[2], content[1])
	sd = other
	if err := child.Store.Put(t.Context(), other, blob.KindSD); err != nil {
		t.Fatal(err)
	}
	desc := stream.SD{StreamHash: "ofothers", Blobs: []blob.Hash{content[0].Hash()}}
	if err := cat.PutStream(t.Context(), metadata.Blob{Hash: other.Hash(), Length: int(other.Size())}, desc); err != nil {
		t.Fatal(err)
	}
	f(true, content[2])
	if err := child.Store.Delete(t.Context(), other.Hash()); err != nil {
		t.Fatal(err)
	}
	f(true, content[2]) // remembered
}

// TestNoSD stores what claims to be an SD blob and is none as a blob.
func TestNoSD(t *testing.T) {
	s, _, cat := throughMem(t, dbbacked.Options{})
	v := storetest.Blob(t, 1, 1000)
	put(t, s, v, blob.KindSD)
	if _, known, err := cat.Missing(t.Context(), v.Hash()); known || err != nil || !storedIn(t, cat, v.Hash()) {
		t.Errorf("known %v, %v", known, err)
	}
}

func TestTouches(t *testing.T) {
	s, child, cat := throughMem(t, dbbacked.Options{})
	v := storetest.Blob(t, 1, 1000)
	if err := child.Store.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-30 * 24 * time.Hour).Truncate(time.Second)
	if err := cat.PutBlobs(t.Context(), []metadata.Blob{{Hash: v.Hash(), Length: 1000, At: old}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Has(t.Context(), v.Hash()); err != nil {
		t.Fatal(err)
	}
	cat.mood.Store(gone)
	hit(t, s, v.Hash())
	eventually(t, "a touch that fails", func() bool { return s.Stats().Errors > 0 })
	if row, _ := rowOf(t, cat.Catalogue, v.Hash()); !row.Accessed.Equal(old) {
		t.Errorf("Has touched: %v", row.Accessed)
	}
	cat.mood.Store(here)
	eventually(t, "the touch", func() bool {
		row, _ := rowOf(t, cat, v.Hash())
		return time.Since(row.Accessed) < time.Hour
	})
}

// TestDeleteOnMiss demands that a row without bytes goes once somebody asks for them, and only if so configured.
func TestDeleteOnMiss(t *testing.T) {
	for _, configured := range []bool{true, false} {
		s, _, cat := throughMem(t, dbbacked.Options{DeleteOnMiss: configured})
		v, here := storetest.Blob(t, 1, 1000), storetest.Blob(t, 2, 1000)
		put(t, s, here, blob.KindContent)
		if err := cat.PutBlobs(t.Context(), []metadata.Blob{{Hash: v.Hash(), Length: 1000}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
			t.Fatal(err)
		}
		if configured {
			eventually(t, "the row to go", func() bool { return !storedIn(t, cat, v.Hash()) })
		}
		hit(t, s, here.Hash())
		if got := storedIn(t, cat, v.Hash()); got == configured {
			t.Errorf("delete_on_miss %v: stored %v", configured, got)
		}
		if !storedIn(t, cat, here.Hash()) {
			t.Error("another row went")
		}
	}
}
