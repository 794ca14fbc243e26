package index_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/index"
)

// sequences reads the order from a sequence on.
func sequences(t *testing.T, x *index.Index, from uint64) []uint64 {
	t.Helper()
	var seqs []uint64
	for _, r := range order(t, x, from) {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

func TestCursorBounds(t *testing.T) {
	x := openMem(t, index.Options{})
	seqs := []uint64{0, 1, 255, 256, 1 << 32, math.MaxUint64 - 1, math.MaxUint64}
	b := x.NewBatch()
	for i, seq := range seqs {
		e := entryOf(i)
		e.Seq = seq
		b.Put(hashOf(i), e)
	}
	b.SetMeta(index.Meta{}) // rows of other kinds lie around them
	b.SetSegment(index.SegmentRow{ID: math.MaxUint64})
	b.Tombstone(0, 0)
	must(t, b.Commit(false))
	for i, from := range seqs {
		if got := sequences(t, x, from); !slices.Equal(got, seqs[i:]) {
			t.Errorf("from %d: %d", from, got)
		}
	}
	if got := sequences(t, x, 2); !slices.Equal(got, seqs[2:]) {
		t.Errorf("from 2: %d", got)
	}
}

// A number of rows around that of a chunk, and rows that are added once the end was reached.
func TestCursorChunks(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 512, 1000} {
		x := openMem(t, index.Options{})
		fill(t, x, 0, n)
		c, err := x.Cursor(0)
		must(t, err)
		count := func() (rows int) {
			for _, ok := c.Next(); ok; _, ok = c.Next() {
				rows++
			}
			must(t, c.Err())
			return rows
		}
		if got := count(); got != n {
			t.Errorf("%d rows of %d", got, n)
		}
		fill(t, x, n, n+3)
		if got := count(); got != 3 {
			t.Errorf("%d rows of 3 that came later", got)
		}
		c.Close()
		if _, ok := c.Next(); ok {
			t.Error("a closed cursor goes on")
		}
	}
}

// While others delete, restamp and add, a cursor gives ascending rows, each that stayed all the while, and none that was
// gone before it began.
func TestCursorBesideChanges(t *testing.T) {
	const n = 3000
	x := openMem(t, index.Options{MemTableBytes: 64 << 10})
	fill(t, x, 0, n)
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		seq := uint64(n)
		for at := 0; ; {
			select {
			case <-stop:
				return
			default:
			}
			b := x.NewBatch()
			for range 20 { // of every three blobs one stays, one is restamped and one deleted, in turn
				i := at % n
				e, err := x.Get(hashOf(i))
				switch {
				case i%3 == 0:
				case err == nil && (i%3 == 1 || r.IntN(2) == 0):
					seq++
					b.Restamp(hashOf(i), e, seq)
				case err == nil:
					b.Delete(hashOf(i), e)
				default:
					seq++
					e = entryOf(i)
					e.Seq = seq
					b.Put(hashOf(i), e)
				}
				at++
			}
			if err := b.Commit(false); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 30 {
		c, err := x.Cursor(0)
		must(t, err)
		last, stayed := uint64(0), 0
		for range 20 * n {
			r, ok := c.Next()
			if !ok {
				break
			}
			if r.Seq <= last {
				t.Fatalf("row %d after row %d", r.Seq, last)
			}
			if last = r.Seq; r.Seq <= n && (r.Seq-1)%3 == 0 {
				stayed++
			}
		}
		must(t, c.Err())
		c.Close()
		if stayed != n/3 {
			t.Fatalf("%d rows of %d that stayed", stayed, n/3)
		}
	}
	close(stop)
	others.Wait()
}
