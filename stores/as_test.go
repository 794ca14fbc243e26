package stores_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/noop"
)

// wrapper is a store with one child; Sized is an optional interface of its own.
type wrapper struct{ stores.Store }

func (w wrapper) Unwrap() stores.Store { return w.Store }
func (w wrapper) Sized() string        { return "wrapper" }

// opaque has a child that As must not see.
type opaque struct{ stores.Store }

type sized interface{ Sized() string }

func TestAs(t *testing.T) {
	inner := mem.New(mem.Options{})
	deep := wrapper{wrapper{inner}}
	if p, ok := stores.As[stores.Pinner](deep); !ok || p != stores.Pinner(inner) {
		t.Error("the optional interface of the innermost store was not found through two wrappers")
	}
	if z, ok := stores.As[sized](deep); !ok || z.(wrapper).Store == stores.Store(inner) {
		t.Error("As did not give the outermost store that has the interface")
	}
	if _, ok := stores.As[stores.Pinner](opaque{inner}); ok {
		t.Error("As looked into a store that does not unwrap")
	}
	if _, ok := stores.As[stores.Pinner](wrapper{noop.New(noop.Options{})}); ok {
		t.Error("As found an interface that no store has")
	}
	if _, ok := stores.As[stores.Pinner](nil); ok {
		t.Error("As found an interface in no store")
	}
}

func TestVolatileOf(t *testing.T) {
	if got := stores.VolatileOf(wrapper{mem.New(mem.Options{Name: "a"})}); got != "mem-a keeps blobs in memory" {
		t.Errorf("through a wrapper: %q", got)
	}
	if got := stores.VolatileOf(opaque{mem.New(mem.Options{})}); got != "" {
		t.Errorf("a store that says nothing: %q", got)
	}
}

func TestKindName(t *testing.T) {
	for _, c := range [][3]string{{"disk", "a", "disk-a"}, {"caching", "", "caching"}} {
		if got := stores.KindName(c[0], c[1]); got != c[2] {
			t.Errorf("KindName(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
