package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/segments"
)

// randomBlob makes a verified blob of n random bytes.
func randomBlob(t testing.TB, n int) blob.Verified {
	t.Helper()
	b := make([]byte, n)
	_, _ = rand.Read(b)
	v, err := blob.Verify(blob.Sum(b), b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func open(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	checktest.After(t, o.FS, o.Dir)
	e, err := engine.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := e.Pinned(); n != 0 {
			t.Errorf("%d handles were not released", n)
		}
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// mustGet reads a blob whole and compares it.
func mustGet(t testing.TB, e *engine.Engine, v blob.Verified) {
	t.Helper()
	h, err := e.Get(context.Background(), v.Hash())
	if err != nil {
		t.Fatalf("get %s: %v", v.Hash().Short(), err)
	}
	defer h.Release()
	var got bytes.Buffer
	if _, err := h.WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), v.Bytes()) {
		t.Fatalf("get %s: wrong bytes", v.Hash().Short())
	}
}

func TestPutGetDeleteReopen(t *testing.T) {
	for _, sync := range []engine.Sync{engine.SyncInterval, engine.SyncAlways, engine.SyncNever} {
		t.Run(sync.String(), func(t *testing.T) {
			o := engine.Options{Dir: t.TempDir(), MaxSize: 1 << 30, Sync: sync}
			e := open(t, o)
			var all []blob.Verified
			for _, n := range []int{1, 4095, 4096, 4097, segments.SmallMax, segments.SmallMax + 1, blob.MaxSize} {
				v := randomBlob(t, n)
				if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
					t.Fatal(err)
				}
				all = append(all, v)
			}
			for _, v := range all {
				mustGet(t, e, v)
			}
			gone := all[0]
			if err := e.Delete(t.Context(), gone.Hash()); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Get(t.Context(), gone.Hash()); !errors.Is(err, blob.ErrNotFound) {
				t.Fatalf("get after delete: %v", err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = open(t, o)
			for _, v := range all[1:] {
				mustGet(t, e, v)
			}
			if ok, err := e.Has(t.Context(), gone.Hash()); ok || err != nil {
				t.Fatalf("has after delete and reopen: %v, %v", ok, err)
			}
			if s := e.Stats(); s.RecoveredBlobs != 0 || s.Blobs != int64(len(all)-1) {
				t.Errorf("after a clean close %d blobs were recovered and %d counted, want 0 and %d", s.RecoveredBlobs, s.Blobs, len(all)-1)
			}
		})
	}
}

// TestCapHolds puts three times the cap through, and wants the account never above it and the youngest blobs there.
func TestCapHolds(t *testing.T) {
	const limit = 128 << 20
	e := open(t, engine.Options{Dir: t.TempDir(), MaxSize: limit, SegmentSize: 8 << 20})
	var last []blob.Verified
	rejected := 0
	for i := range 3 * limit / (1 << 20) {
		v := randomBlob(t, 1<<20)
		switch err := e.Put(t.Context(), v, blob.KindContent); {
		case errors.Is(err, blob.ErrFull):
			rejected++
		case err != nil:
			t.Fatal(err)
		default:
			last = append(last, v)
		}
		if s := e.Stats(); s.Used > s.Limit {
			t.Fatalf("put %d: %d used of %d", i, s.Used, s.Limit)
		}
	}
	if rejected > 0 {
		t.Errorf("%d puts were turned away although everything could be evicted", rejected)
	}
	for _, v := range last[len(last)-20:] {
		mustGet(t, e, v)
	}
	s := e.Stats()
	if s.Evicted == 0 || s.Unlinked == 0 {
		t.Errorf("evicted %d, unlinked %d segments", s.Evicted, s.Unlinked)
	}
	if s.LiveBytes < limit/2 {
		t.Errorf("only %d of %d bytes hold blobs", s.LiveBytes, limit)
	}
}

// TestPinsHoldSpace pins everything, fills the cap, and wants refusals but no wrong byte; after the release puts go on.
func TestPinsHoldSpace(t *testing.T) {
	e := open(t, engine.Options{Dir: t.TempDir(), MaxSize: 96 << 20, SegmentSize: 8 << 20})
	var pinned []blob.Handle
	var blobs []blob.Verified
	full := 0
	for range 200 {
		v := randomBlob(t, 1<<20)
		err := e.Put(t.Context(), v, blob.KindContent)
		if errors.Is(err, blob.ErrFull) {
			if full++; full > 3 {
				break
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if h, err := e.Get(t.Context(), v.Hash()); err == nil {
			pinned, blobs = append(pinned, h), append(blobs, v)
		}
		if s := e.Stats(); s.Used > s.Limit {
			t.Fatalf("%d used of %d", s.Used, s.Limit)
		}
	}
	if full == 0 {
		t.Fatal("nothing was turned away although every blob is pinned")
	}
	for i, h := range pinned {
		var got bytes.Buffer
		if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), blobs[i].Bytes()) {
			t.Fatalf("pinned blob %d: wrong bytes, %v", i, err)
		}
		h.Release()
	}
	v := randomBlob(t, 1<<20)
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := e.Put(t.Context(), v, blob.KindContent)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("put after the release: %v", err)
		}
	}
	mustGet(t, e, v)
}

// TestAgainstModel runs random operations, closes and reopens, and compares with a map.
func TestAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := mrand.New(mrand.NewPCG(seed, 1))
	o := engine.Options{Dir: t.TempDir(), MaxSize: 1 << 30, SegmentSize: 4 << 20}
	e := open(t, o)
	pool := make([]blob.Verified, 60)
	for i := range pool {
		pool[i] = randomBlob(t, 1+r.IntN(200<<10))
	}
	have := map[blob.Hash]bool{}
	for range 2000 {
		v := pool[r.IntN(len(pool))]
		switch k := r.IntN(100); {
		case k < 45:
			if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
				t.Fatal(err)
			}
			have[v.Hash()] = true
		case k < 70:
			if err := e.Delete(t.Context(), v.Hash()); err != nil {
				t.Fatal(err)
			}
			delete(have, v.Hash())
		case k < 99:
			if have[v.Hash()] {
				mustGet(t, e, v)
			} else if _, err := e.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
				t.Fatalf("get of a missing blob: %v", err)
			}
		default:
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = open(t, o)
		}
	}
	if s := e.Stats(); s.Blobs != int64(len(have)) {
		t.Errorf("%d blobs are counted, the model has %d", s.Blobs, len(have))
	}
}

// TestFillIsNoHit puts blobs, reads each once as the client of its fill does, and some again: under pressure those that
// were read again stay longest.
func TestFillIsNoHit(t *testing.T) {
	e := open(t, engine.Options{Dir: t.TempDir(), MaxSize: 128 << 20, SegmentSize: 8 << 20})
	var all []blob.Verified
	for i := range 120 {
		v := randomBlob(t, 1<<20)
		if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
		mustGet(t, e, v)
		if i < 20 {
			mustGet(t, e, v)
		}
		all = append(all, v)
	}
	kept := 0
	for _, v := range all[:20] {
		if ok, err := e.Has(t.Context(), v.Hash()); err == nil && ok {
			kept++
		}
	}
	if s := e.Stats(); kept < 18 || s.Kept > 40 {
		t.Errorf("%d of 20 blobs that were read again are there, and %d records were kept in all", kept, s.Kept)
	}
}
