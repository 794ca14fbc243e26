package ittt_test

import (
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/ittt"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/noop"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Config{Open: func(*testing.T) stores.Store {
		return ittt.New(ittt.Options{Name: "a", This: mem.New(mem.Options{}), That: mem.New(mem.Options{})})
	}})
}

// The suite once more, with every blob in That alone.
func TestConformanceOfThat(t *testing.T) {
	var that stores.Store
	storetest.Run(t, storetest.Config{
		Open: func(*testing.T) stores.Store {
			that = mem.New(mem.Options{})
			return ittt.New(ittt.Options{This: noop.New(noop.Options{}), That: that})
		},
		Seed: func(t *testing.T, _ stores.Store, v blob.Verified, kind blob.Kind) {
			if err := that.Put(t.Context(), v, kind); err != nil && !errors.Is(err, blob.ErrUnavailable) {
				t.Error(err)
			}
		},
	})
}

func get(t *testing.T, s stores.Store, h blob.Hash) error {
	t.Helper()
	handle, err := s.Get(t.Context(), h)
	if err == nil {
		handle.Release()
	}
	return err
}

func TestHits(t *testing.T) {
	this := storetest.Bend(mem.New(mem.Options{Name: "near"}))
	that := mem.New(mem.Options{Name: "far"})
	s := ittt.New(ittt.Options{This: this, That: that})
	defer s.Close()
	near, far := storetest.Blob(t, 1, 100), storetest.Blob(t, 2, 100)
	if err := s.Put(t.Context(), near, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	if has, err := that.Has(t.Context(), near.Hash()); has || err != nil {
		t.Errorf("a put went to that: %v, %v", has, err)
	}
	for _, v := range []blob.Verified{near, far} {
		if err := that.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
	}
	down := errors.New("down")
	for _, c := range []struct {
		fault error
		h     blob.Hash
		want  error
	}{
		{nil, near.Hash(), nil},  // this
		{nil, far.Hash(), nil},   // that
		{down, near.Hash(), nil}, // that
		{nil, blob.Hash{1}, blob.ErrNotFound},
		{down, blob.Hash{1}, down},
	} {
		this.Fail(c.fault)
		if err := get(t, s, c.h); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.fault, err, c.want)
		}
	}
	this.Fail(nil)
	st, err := s.Open(t.Context(), near.Hash())
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	if got, want := s.Stats(), [2]ittt.Hits{{Origin: "mem-near", Hits: 2}, {Origin: "mem-far", Hits: 2}}; got != want {
		t.Errorf("hits %v, want %v", got, want)
	}
}

// A blob that cannot be deleted from one of them is still there, and Delete says so.
func TestDelete(t *testing.T) {
	this, that := storetest.Bend(mem.New(mem.Options{})), storetest.Bend(mem.New(mem.Options{}))
	s := ittt.New(ittt.Options{This: this, That: that})
	defer s.Close()
	v := storetest.Blob(t, 1, 100)
	for _, child := range []*storetest.Bent{this, that} {
		for _, each := range []*storetest.Bent{this, that} {
			if err := each.Put(t.Context(), v, blob.KindContent); err != nil {
				t.Fatal(err)
			}
		}
		child.Fail(errors.ErrUnsupported)
		if err := s.Delete(t.Context(), v.Hash()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Delete: %v", err)
		}
		child.Fail(nil)
		if err := get(t, s, v.Hash()); err != nil {
			t.Errorf("after a Delete that failed: %v", err)
		}
	}
	if err := s.Delete(t.Context(), v.Hash()); err != nil {
		t.Error(err)
	}
	if err := get(t, s, v.Hash()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("after Delete: %v", err)
	}
}

// What it does not answer it does not claim, and what a power cut may take is what This may lose.
func TestOptionalInterfaces(t *testing.T) {
	this := mem.New(mem.Options{Name: "near"})
	var s stores.Store = ittt.New(ittt.Options{This: this, That: storetest.Bend(mem.New(mem.Options{}))})
	defer s.Close()
	if _, ok := stores.As[stores.Wanter](s); ok {
		t.Error("it is a Wanter")
	}
	if _, ok := stores.As[stores.StreamKnower](s); ok {
		t.Error("it is a StreamKnower")
	}
	if _, ok := stores.As[stores.Blocker](s); ok {
		t.Error("it is a Blocker")
	}
	if got, want := stores.VolatileOf(s), stores.VolatileOf(this); got != want {
		t.Errorf("volatile: %q, want %q", got, want)
	}
}
