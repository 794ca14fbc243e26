package compare_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/compare"
)

// nth is a hash; a larger number is a larger hash.
func nth(n int) (h blob.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(n))
	return h
}

// listOf lists numbers.
func listOf(numbers []int) compare.List {
	return func(_ context.Context, from blob.Hash, fn func(blob.Hash, int64, blob.Kind) error) error {
		first, _ := slices.BinarySearchFunc(numbers, from, func(n int, h blob.Hash) int {
			at := nth(n)
			return slices.Compare(at[:], h[:])
		})
		for _, n := range numbers[first:] {
			if err := fn(nth(n), int64(n), blob.KindContent); err != nil {
				return err
			}
		}
		return nil
	}
}

// some is a random choice of the numbers below n.
func some(rnd *rand.Rand, n int) (out []int) {
	for i := range n {
		if rnd.IntN(3) > 0 {
			out = append(out, i)
		}
	}
	return out
}

// numbered is a catalogue of numbers, of which no more is asked than these.
type numbered struct {
	metadata.Catalogue
	rows, blocked []int
}

func (c numbered) Walk(ctx context.Context, from blob.Hash, fn func(metadata.Row) error) error {
	return listOf(c.rows)(ctx, from, func(h blob.Hash, n int64, _ blob.Kind) error {
		return fn(metadata.Row{Hash: h, Stored: n%7 > 0, Length: 1 + int(n)})
	})
}

func (c numbered) Blocked(ctx context.Context, from blob.Hash, fn func(blob.Hash) error) error {
	return listOf(c.blocked)(ctx, from, func(h blob.Hash, _ int64, _ blob.Kind) error { return fn(h) })
}

// TestWalk joins random sides, of more than a page.
func TestWalk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const n = 40_000
	disk, rows, blocked := some(rnd, n), some(rnd, n), some(rnd, n)
	c := numbered{rows: rows, blocked: blocked}
	var gotDisk, gotRows, gotBlocked []int
	last, m := -1, compare.Blocked(t.Context(), c)
	err := compare.Walk(t.Context(), listOf(disk), c, func(p compare.Pair) error {
		i := int(binary.BigEndian.Uint64(p.Hash[:]))
		if i <= last {
			t.Fatalf("%d after %d", i, last)
		}
		last = i
		if p.InStore {
			gotDisk = append(gotDisk, i)
			if p.Size != int64(i) {
				t.Fatalf("size %d of %d", p.Size, i)
			}
		}
		if p.Stored() != (p.Known && i%7 > 0) {
			t.Fatalf("pair %+v", p)
		}
		if p.Known {
			gotRows = append(gotRows, i)
			if p.Row.Length != 1+i {
				t.Fatalf("length %d of %d", p.Row.Length, i)
			}
		}
		is, err := m.Has(p.Hash)
		if is {
			gotBlocked = append(gotBlocked, i)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	either := func(i int) bool {
		_, a := slices.BinarySearch(disk, i)
		_, b := slices.BinarySearch(rows, i)
		return a || b
	}
	blocked = slices.DeleteFunc(blocked, func(i int) bool { return !either(i) })
	if !slices.Equal(gotDisk, disk) || !slices.Equal(gotRows, rows) || !slices.Equal(gotBlocked, blocked) {
		t.Errorf("%d on the disk, want %d; %d rows, want %d; %d blocked, want %d",
			len(gotDisk), len(disk), len(gotRows), len(rows), len(gotBlocked), len(blocked))
	}
}

// endless has a row for every third number below n.
type endless struct {
	metadata.Catalogue // of which nothing else is asked
	n                  int
}

func (c endless) Walk(_ context.Context, from blob.Hash, fn func(metadata.Row) error) error {
	for i := int(binary.BigEndian.Uint64(from[:])); i < c.n; i++ {
		if h := nth(i); i%3 == 0 && slices.Compare(h[:], from[:]) >= 0 {
			if err := fn(metadata.Row{Hash: nth(i), Stored: true, Length: 1}); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestMemory compares 1,000,000 blobs with as many rows, in a few pages of memory.
func TestMemory(t *testing.T) {
	const n, most = 3_000_000, 8 << 20
	list := func(_ context.Context, from blob.Hash, fn func(blob.Hash, int64, blob.Kind) error) error {
		for i := int(binary.BigEndian.Uint64(from[:])); i < n; i++ {
			if h := nth(i); i%3 == 1 && slices.Compare(h[:], from[:]) >= 0 {
				if err := fn(h, 1, blob.KindContent); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	pairs, peak := 0, uint64(0)
	err := compare.Walk(t.Context(), list, endless{n: n}, func(compare.Pair) error {
		if pairs++; pairs%200_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
		return nil
	})
	if err != nil || pairs != 2_000_000 {
		t.Fatalf("%d pairs, %v", pairs, err)
	}
	if peak > before.HeapAlloc+most {
		t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, peak)
	}
}

// TestEnds has errors of either side and of the caller end a walk as they are.
func TestEnds(t *testing.T) {
	own := errors.New("own")
	c := endless{n: 10}
	fine := func(compare.Pair) error { return nil }
	bad := func(context.Context, blob.Hash, func(blob.Hash, int64, blob.Kind) error) error { return own }
	if err := compare.Walk(t.Context(), bad, c, fine); !errors.Is(err, own) {
		t.Errorf("of the store: %v", err)
	}
	if err := compare.Walk(t.Context(), listOf([]int{1}), c, func(compare.Pair) error { return own }); !errors.Is(err, own) {
		t.Errorf("of the caller: %v", err)
	}
	if compare.Strangers(1000, 0) || compare.Strangers(2000, 2000) || !compare.Strangers(1001, 1000) {
		t.Error("Strangers")
	}
}
