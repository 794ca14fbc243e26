package mem_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Config{
		Open: func(*testing.T) stores.Store { return mem.New(mem.Options{}) },
	})
}

func TestStats(t *testing.T) {
	s := mem.New(mem.Options{Name: "x"})
	defer s.Close()
	if s.Name() != "mem-x" {
		t.Errorf("Name = %q", s.Name())
	}
	v, w := storetest.Blob(t, 1, 100), storetest.Blob(t, 2, 50)
	for _, b := range []blob.Verified{v, w, v} {
		if err := s.Put(t.Context(), b, blob.KindContent); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.Stats(), (mem.Stats{Blobs: 2, Bytes: 150}); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	if err := s.Delete(t.Context(), v.Hash()); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Stats(), (mem.Stats{Blobs: 1, Bytes: 50}); got != want {
		t.Errorf("Stats after Delete = %+v, want %+v", got, want)
	}
}
