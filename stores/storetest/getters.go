package storetest

import (
	"bytes"
	"context"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Source is a store that reads from elsewhere.
type Source interface {
	stores.Store
	stores.Opener
	stores.Pinner
}

// Getters are the two ways to a blob's bytes: Get, and Open with Collect.
func Getters[S Source]() map[string]func(context.Context, S, blob.Hash) ([]byte, error) {
	return map[string]func(context.Context, S, blob.Hash) ([]byte, error){
		"Get": func(ctx context.Context, s S, h blob.Hash) ([]byte, error) {
			handle, err := s.Get(ctx, h)
			if err != nil {
				return nil, err
			}
			defer handle.Release()
			var buf bytes.Buffer
			_, err = handle.WriteTo(&buf)
			return buf.Bytes(), err
		},
		"Open": func(ctx context.Context, s S, h blob.Hash) ([]byte, error) {
			st, err := s.Open(ctx, h)
			if err != nil {
				return nil, err
			}
			defer st.Close()
			v, err := st.Collect(make([]byte, st.Size()), nil)
			return v.Bytes(), err
		},
	}
}

// Opened gives the store that a constructor made, which ends with the test and must not have pinned handles then.
func Opened[S Source](t *testing.T, s S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := s.Pinned(); n != 0 {
			t.Errorf("%d handles are pinned", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
