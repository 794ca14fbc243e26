package noop_test

import (
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/noop"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Config{
		Open:  func(*testing.T) stores.Store { return noop.New(noop.Options{}) },
		Lossy: true,
	})
}

func TestNeverHasABlob(t *testing.T) {
	s := noop.New(noop.Options{Name: "void"})
	defer s.Close()
	v := storetest.Blob(t, 1, 100)
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	if has, err := s.Has(t.Context(), v.Hash()); has || err != nil {
		t.Errorf("Has = %v, %v", has, err)
	}
	if _, err := s.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if s.Name() != "noop-void" {
		t.Errorf("Name = %q", s.Name())
	}
}
