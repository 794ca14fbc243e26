package lists

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// someHashes are n random hashes.
func someHashes(seed uint64, n int) []blob.Hash {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	random := rand.NewChaCha8(key)
	all := make([]blob.Hash, n)
	for i := range all {
		_, _ = random.Read(all[i][:])
	}
	return all
}

func TestSet(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000, 100_000} {
		in, out := someHashes(1, n), someHashes(2, 1000)
		s := newSet(append(someHashes(1, n), in[:n/2]...)) // half of them twice
		if len(s.hashes) != n {
			t.Errorf("%d hashes of %d", len(s.hashes), n)
		}
		for _, h := range in {
			if !s.has(h) {
				t.Fatalf("of %d, %s is not found", n, h)
			}
		}
		for _, h := range out {
			if s.has(h) {
				t.Fatalf("of %d, %s is found", n, h)
			}
		}
	}
	edges := []blob.Hash{{}, {0: 0xff, 1: 0xff}, {0: 0xff, 1: 0xff, 47: 0xff}, {47: 1}, {47: 2}, {5: 1}, {5: 1, 47: 1}}
	s := newSet(append([]blob.Hash(nil), edges...))
	for _, h := range edges {
		if !s.has(h) {
			t.Errorf("%s is not found", h)
		}
	}
}

func TestBeyond(t *testing.T) {
	all := someHashes(3, 100)
	one, two := newSet(append([]blob.Hash(nil), all[:60]...)), newSet(append([]blob.Hash(nil), all[40:]...))
	failed := errors.New("failed")
	for most, calls := range map[int][]int{1000: {40}, 40: {40}, 15: {15, 15, 10}} {
		var got []int
		seen := map[blob.Hash]bool{}
		if err := two.beyond(one, most, func(hashes []blob.Hash) error {
			got = append(got, len(hashes))
			for _, h := range hashes {
				if one.has(h) || !two.has(h) || seen[h] {
					t.Errorf("%s does not belong there", h)
				}
				seen[h] = true
			}
			return nil
		}); err != nil || !slices.Equal(got, calls) {
			t.Errorf("at most %d: calls with %v hashes, %v; want %v", most, got, err, calls)
		}
		if err := two.beyond(one, most, func([]blob.Hash) error { return failed }); err != failed {
			t.Errorf("%v, want the error of fn", err)
		}
	}
	if err := one.beyond(one, 10, func([]blob.Hash) error { return failed }); err != nil {
		t.Errorf("nothing is new: %v", err)
	}
}

func TestContainsAllocatesNothing(t *testing.T) {
	all := someHashes(4, 10_000)
	b, p := &Blocklist{}, &Protected{opt: ProtectedOptions{Closed: true}}
	b.hashes.Store(newSet(append([]blob.Hash(nil), all...)))
	p.hashes.Store(b.hashes.Load())
	other := blob.Sum(nil)
	if n := testing.AllocsPerRun(1000, func() { b.Contains(all[7]); b.Contains(other); p.Contains(all[7]); p.Contains(other) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A million hashes take 52 bytes each and a little: at most 64 MB.
func TestSetMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newSet(someHashes(5, 1_000_000))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 64_000_000 {
		t.Errorf("%d bytes", n)
	}
	runtime.KeepAlive(s)
}

func BenchmarkContains(b *testing.B) {
	list := &Blocklist{}
	in, out := someHashes(6, 1_000_000), someHashes(7, 1<<16)
	list.hashes.Store(newSet(append([]blob.Hash(nil), in...)))
	for name, ask := range map[string][]blob.Hash{"listed": in, "other": out} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if list.Contains(ask[i%len(ask)]) != (name == "listed") {
					b.Fatal("wrong")
				}
				i += 7919
			}
		})
	}
}
