package refcount_test

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/stores/refcount"
)

func TestBodyIsFreedAfterTheLastHandle(t *testing.T) {
	var pinned atomic.Int64
	freed := 0
	b := refcount.NewBody([]byte("abc"), &pinned, func() { freed++ })
	one, two := b.Handle(), b.Handle()
	if pinned.Load() != 2 {
		t.Fatalf("%d handles are pinned, want 2", pinned.Load())
	}
	b.Release()
	one.Release()
	if freed != 0 || pinned.Load() != 1 {
		t.Fatalf("with one handle out: freed %d times, %d pinned", freed, pinned.Load())
	}
	var buf bytes.Buffer
	if n, err := two.WriteTo(&buf); n != 3 || err != nil || buf.String() != "abc" {
		t.Fatalf("WriteTo = %d, %v, %q", n, err, buf.String())
	}
	two.Release()
	if freed != 1 || pinned.Load() != 0 {
		t.Fatalf("after the last release: freed %d times, %d pinned", freed, pinned.Load())
	}
}

func TestSharedReleasesTheInnerHandleOnce(t *testing.T) {
	freed := 0
	b := refcount.NewBody([]byte("abc"), nil, func() { freed++ })
	s := refcount.NewShared(b.Handle())
	b.Release()
	one, two := s.Handle(), s.Handle()
	s.Release()
	one.Release()
	if freed != 0 {
		t.Fatal("the inner handle went with the first reader")
	}
	if got, err := io.ReadAll(io.NewSectionReader(two, 0, two.Size())); err != nil || string(got) != "abc" {
		t.Fatalf("read %q, %v", got, err)
	}
	two.Release()
	if freed != 1 {
		t.Fatalf("freed %d times", freed)
	}
}

func TestReleaseTwicePanics(t *testing.T) {
	b := refcount.NewBody([]byte("abc"), nil, nil)
	defer b.Release()
	mustPanic := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		f()
	}
	h := b.Handle()
	h.Release()
	mustPanic("second release of a handle", h.Release)
	s := refcount.NewShared(b.Handle())
	sh := s.Handle()
	sh.Release()
	mustPanic("second release of a shared handle", sh.Release)
	s.Release()
	mustPanic("second release of a Shared", s.Release)
}
