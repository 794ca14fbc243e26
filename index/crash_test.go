package index_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// crash is what a disk held at a power cut.
type crash struct {
	disk   *crashfs.FS
	report crashfs.Report
	at     call
	begun  int // batches whose commit had begun
	synced int // batches that were durable
}

// history is a random history of batches; it can be played into an index and into a model, any prefix of it.
type history struct {
	seed    uint64
	batches int
}

// play makes the first n batches into the model, and each into a batch that commit is given, if there is one. Every
// batch writes its number into the meta row.
func (h history) play(n int, x *index.Index, commit func(i int, b *index.Batch) bool) *model {
	r := rand.New(rand.NewPCG(h.seed, 1))
	m := newModel()
	for i := range n {
		b := x.NewBatch()
		for range 1 + r.IntN(30) {
			m.step(r, b)
		}
		meta := index.Meta{NextSeq: uint64(i + 1)}
		b.SetMeta(meta)
		m.meta = &meta
		if commit != nil && !commit(i, b) {
			break
		}
	}
	return m
}

// crashes plays the history on a disk whose power is cut before one call in every few, and goes on each time.
func (h history) crashes(t *testing.T, every int) []crash {
	t.Helper()
	disk := crashfs.New()
	x := open(t, optionsOn(disk))
	var begun, synced atomic.Int64
	var mu sync.Mutex
	var crashes []crash
	disk.SetHook(func(op crashfs.Op) error {
		if op.N%every != 0 {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		c := crash{at: callOf(op), synced: int(synced.Load())}
		c.disk, c.report = disk.Cut(h.seed + uint64(op.N))
		c.begun = int(begun.Load())
		crashes = append(crashes, c)
		return nil
	})
	h.play(h.batches, x, func(i int, b *index.Batch) bool {
		begun.Store(int64(i + 1))
		durable := i%3 == 0
		if err := b.Commit(durable && i%2 == 0); err != nil {
			t.Fatal(err)
		}
		if durable && i%2 == 1 {
			must(t, x.Sync())
		}
		if durable {
			synced.Store(int64(i + 1))
		}
		return true
	})
	disk.SetHook(nil)
	must(t, x.Close())
	return crashes
}

// check opens what a crash left, and demands that it is exactly the state after some batch: none that was durable is
// lost, none is there in part, and none without those before it.
func (h history) check(t *testing.T, c crash) {
	t.Helper()
	x, err := index.Open(optionsOn(c.disk))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	meta, _, err := x.Meta()
	must(t, err)
	n := int(meta.NextSeq)
	if n < c.synced || n > c.begun {
		t.Fatalf("%d batches survived; %d were durable and %d begun", n, c.synced, c.begun)
	}
	m := h.play(n, x, nil)
	m.check(t, x)
	must(t, x.Close())
}

// TestPowerCut cuts the power throughout a random history, and again while the index is opened after the cut.
func TestPowerCut(t *testing.T) {
	h := history{seed: seed(t), batches: 400}
	var sum crashfs.Report
	at := map[call]int{}
	for _, c := range h.crashes(t, 17) {
		sum.Add(c.report)
		at[c.at]++
		t.Run(fmt.Sprint(c.at), func(t *testing.T) {
			again := c
			first, _ := c.disk.Cut(0) // nothing is lost: all of a clone is durable
			again.disk = nil
			r := rand.New(rand.NewPCG(h.seed, uint64(c.disk.Ops())))
			start, n := first.Ops(), 1+r.IntN(40)
			first.SetHook(func(op crashfs.Op) error {
				if op.N == start+n {
					again.disk, again.report = first.Cut(h.seed)
				}
				return nil
			})
			h.check(t, crash{disk: first, begun: c.begun, synced: c.synced})
			if again.disk != nil {
				sum.Add(again.report)
				h.check(t, again)
			}
			h.check(t, c)
		})
	}
	t.Logf("%d kinds of calls, lost: %s", len(at), sum.String())
	if !sum.Lost() || len(at) < 5 {
		t.Errorf("the power cuts lost too little to prove anything: %s, at %v", sum.String(), at)
	}
}
