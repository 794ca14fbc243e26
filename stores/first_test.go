package stores_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

var (
	errOne = errors.New("one is down")
	errTwo = errors.New("two is down")
)

// Whatever two stores answer, the first that has the blob gives it, and "not found" takes two who say so.
func TestFirst(t *testing.T) {
	v := storetest.Blob(t, 1, 1000)
	f := func(one, two error, which int, want ...error) {
		t.Helper()
		children := make([]*storetest.Bent, 2)
		for i, answer := range []error{one, two} {
			children[i] = storetest.Bend(mem.New(mem.Options{}))
			if answer == nil {
				if err := children[i].Put(t.Context(), v, blob.KindContent); err != nil {
					t.Fatal(err)
				}
			} else if answer != blob.ErrNotFound {
				children[i].Fail(answer)
			}
		}
		first := stores.First{children[0], children[1]}
		demand := func(call string, got int, err error) {
			t.Helper()
			if got != which || (err == nil) != (len(want) == 0) {
				t.Errorf("%v, %v: %s: from %d, %v", one, two, call, got, err)
			}
			missing := false
			for _, w := range want {
				missing = missing || w == blob.ErrNotFound
				if !errors.Is(err, w) {
					t.Errorf("%v, %v: %s: %v, want %v", one, two, call, err, w)
				}
			}
			if errors.Is(err, blob.ErrNotFound) != missing {
				t.Errorf("%v, %v: %s: %v claims that the blob is missing", one, two, call, err)
			}
		}
		handle, got, err := first.Get(t.Context(), v.Hash())
		demand("Get", got, err)
		if err == nil {
			handle.Release()
		}
		st, got, err := first.Open(t.Context(), v.Hash())
		demand("Open", got, err)
		if err == nil {
			if w, err := st.Collect(make([]byte, st.Size()), nil); err != nil || !bytes.Equal(w.Bytes(), v.Bytes()) {
				t.Errorf("Open: %v, or other bytes", err)
			}
			st.Close()
		}
		has, err := first.Has(t.Context(), v.Hash())
		if has != (len(want) == 0) || (err != nil) != (len(want) > 0 && want[0] != blob.ErrNotFound) {
			t.Errorf("%v, %v: Has = %v, %v", one, two, has, err)
		}
		if n := stores.Pinned(children[0].Store, children[1].Store); n != 0 {
			t.Errorf("%d handles are pinned", n)
		}
	}
	none := blob.ErrNotFound
	f(nil, nil, 0)
	f(nil, none, 0)
	f(nil, errTwo, 0)
	f(none, nil, 1)
	f(errOne, nil, 1)
	f(none, none, -1, none)
	f(none, errTwo, -1, errTwo)
	f(errOne, none, -1, errOne)
	f(errOne, errTwo, -1, errOne, errTwo)
}

// Who leaves gets the error of the store that was asked, and the next one is not asked.
func TestFirstEndsWithItsCaller(t *testing.T) {
	one, two := storetest.Bend(mem.New(mem.Options{})), storetest.Bend(mem.New(mem.Options{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (stores.First{one, two}).Get(ctx, blob.Hash{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if n := two.Calls.Load(); n != 0 {
		t.Errorf("the second store was asked %d times", n)
	}
}
