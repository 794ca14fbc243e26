package multiwriter_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/multiwriter"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func open(t *testing.T, destinations ...stores.Store) *multiwriter.Store {
	t.Helper()
	s, err := multiwriter.New(multiwriter.Options{Name: "m", Destinations: destinations})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Config{Open: func(t *testing.T) stores.Store {
		dir := t.TempDir()
		checktest.After(t, nil, dir)
		files, err := disk.Open(t.Context(), disk.Options{MountPoint: dir, Mode: disk.ModeSharded})
		if err != nil {
			t.Fatal(err)
		}
		return open(t, mem.New(mem.Options{}), files, mem.New(mem.Options{}))
	}})
}

func TestNoDestinations(t *testing.T) {
	if s, err := multiwriter.New(multiwriter.Options{}); err == nil {
		s.Close()
		t.Error("a store without destinations was made")
	}
}

// Everything is everywhere, or the error names where it is not, and the uploader is asked for it again.
func TestAllMustSucceed(t *testing.T) {
	var all []*storetest.Bent
	var destinations []stores.Store
	for _, name := range []string{"a", "b", "c"} {
		d := storetest.Bend(mem.New(mem.Options{Name: name}))
		all, destinations = append(all, d), append(destinations, d)
	}
	s := open(t, destinations...)
	defer s.Close()
	v := storetest.Blob(t, 1, 1000)
	where := func() string {
		out := ""
		for _, d := range all {
			has, err := d.Store.Has(t.Context(), v.Hash())
			if err != nil {
				t.Fatal(err)
			}
			if has {
				out += d.Name()
			}
		}
		return out
	}
	wants := func(want bool) {
		t.Helper()
		if wanted, blocked, err := s.Wants(t.Context(), v.Hash()); wanted != want || blocked || err != nil {
			t.Errorf("Wants = %v, %v, %v; want %v", wanted, blocked, err, want)
		}
	}
	wants(true)
	all[1].Fail(blob.ErrFull)
	all[2].Fail(blob.ErrUnavailable)
	err := s.Put(t.Context(), v, blob.KindContent)
	if !errors.Is(err, blob.ErrFull) || !errors.Is(err, blob.ErrUnavailable) ||
		!strings.Contains(err.Error(), "destination 2 of 3, mem-b") || !strings.Contains(err.Error(), "destination 3 of 3, mem-c") ||
		strings.Contains(err.Error(), "mem-a") {
		t.Errorf("Put: %v", err)
	}
	if got := where(); got != "mem-a" {
		t.Errorf("the blob is in %s", got)
	}
	if _, _, err := s.Wants(t.Context(), v.Hash()); err == nil {
		t.Error("Wants knows what a destination that is down has")
	}
	all[1].Fail(nil)
	all[2].Fail(nil)
	wants(true)
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	if got := where(); got != "mem-amem-bmem-c" {
		t.Errorf("the blob is in %s", got)
	}
	wants(false)

	all[0].Fail(blob.ErrUnavailable) // readers do not notice
	handle, err := s.Get(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	handle.Release()
	if err := s.Delete(t.Context(), v.Hash()); err == nil || !strings.Contains(err.Error(), "delete: destination 1 of 3, mem-a") {
		t.Errorf("Delete: %v", err)
	}
	all[0].Fail(nil)
	if err := s.Delete(t.Context(), v.Hash()); err != nil || where() != "" {
		t.Errorf("Delete again: %v; the blob is in %q", err, where())
	}
}

// blocking is a destination that refuses blobs.
type blocking struct{ stores.Store }

func (blocking) Wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	return false, true, nil
}

func TestOptionalInterfaces(t *testing.T) {
	memory := mem.New(mem.Options{})
	s := open(t, memory, blocking{mem.New(mem.Options{})})
	defer s.Close()
	if wanted, blocked, err := s.Wants(t.Context(), blob.Hash{1}); wanted || !blocked || err != nil {
		t.Errorf("Wants = %v, %v, %v of a blob that one destination blocks", wanted, blocked, err)
	}
	if _, ok := stores.As[stores.StreamKnower](stores.Store(s)); ok {
		t.Error("it is a StreamKnower")
	}
	if _, ok := stores.As[stores.Blocker](stores.Store(s)); ok {
		t.Error("it is a Blocker")
	}
	if got := s.Volatile(); got != "" {
		t.Errorf("volatile (%s), though a destination is not", got)
	}
	both := open(t, mem.New(mem.Options{}), memory)
	defer both.Close()
	if both.Volatile() == "" {
		t.Error("two destinations in memory keep blobs through a power cut")
	}
}
