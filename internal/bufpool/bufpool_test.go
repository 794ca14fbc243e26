package bufpool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/OdyseeTeam/prism/internal/bufpool"
)

func TestPoolReuses(t *testing.T) {
	p := bufpool.New(100, 2)
	a, b, c := p.Get(), p.Get(), p.Get()
	if len(a) != 100 || len(b) != 100 || len(c) != 100 {
		t.Fatalf("buffers of %d, %d and %d bytes, want 100", len(a), len(b), len(c))
	}
	p.Put(a[:7]) // a user may have shortened it
	p.Put(b)
	p.Put(c) // one more than is kept
	x, y, z := p.Get(), p.Get(), p.Get()
	if &x[0] != &b[0] || &y[0] != &a[0] || len(y) != 100 {
		t.Error("buffers that were put back do not come again, whole")
	}
	if &z[0] == &c[0] {
		t.Error("more buffers are kept than were asked for")
	}
}

func TestPoolDoesNotAllocate(t *testing.T) {
	p := bufpool.New(1<<20, 1)
	p.Put(p.Get())
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Get()) }); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
}

func TestPoolRefusesStrangers(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a buffer that is too small is taken")
		}
	}()
	bufpool.New(100, 1).Put(make([]byte, 99))
}

func TestBudgetBounds(t *testing.T) {
	b := bufpool.NewBudget(10, 2)
	first, err := b.Get(t.Context())
	if err != nil || len(first) != 10 {
		t.Fatalf("Get: %d bytes, %v", len(first), err)
	}
	second, ok := b.TryGet()
	if !ok || b.Out() != 2 {
		t.Fatalf("TryGet: %v, %d out", ok, b.Out())
	}
	if _, ok := b.TryGet(); ok {
		t.Fatal("a third buffer is out")
	}
	b.Put(first)
	third, ok := b.TryGet()
	if !ok || &third[0] != &first[0] {
		t.Fatalf("after Put: %v, the same buffer: %v", ok, ok && &third[0] == &first[0])
	}
	b.Put(second)
	b.Put(third)
	if b.Out() != 0 {
		t.Errorf("%d out, want 0", b.Out())
	}
}

// A buffer that changes to a sibling gives its place here to others, and its memory is kept once.
func TestSiblings(t *testing.T) {
	a := bufpool.NewBudget(10, 1)
	b := a.Sibling(1)
	buf, _ := a.TryGet()
	if !b.Reserve() || b.Reserve() {
		t.Fatal("a sibling of one place gives none, or two")
	}
	a.Yield()
	other, ok := a.TryGet()
	if !ok || &other[0] == &buf[0] {
		t.Fatalf("the place that was given up: %v, or the buffer that is still out", ok)
	}
	b.Put(buf)
	if a.Out() != 1 || b.Out() != 0 {
		t.Errorf("%d and %d out, want 1 and 0", a.Out(), b.Out())
	}
	if again, ok := b.TryGet(); !ok || &again[0] != &buf[0] {
		t.Error("the siblings do not share what is idle")
	}
}

func TestBudgetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bufpool.NewBudget(10, 1)
		held, _ := b.TryGet()
		start := time.Now()
		time.AfterFunc(time.Minute, func() { b.Put(held) })
		buf, err := b.Get(t.Context())
		if err != nil || &buf[0] != &held[0] || time.Since(start) != time.Minute {
			t.Fatalf("Get returns after %v, %v", time.Since(start), err)
		}

		errLate := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errLate)
		defer cancel()
		if buf, err := b.Get(ctx); !errors.Is(err, errLate) || buf != nil {
			t.Fatalf("Get beyond its time: %v, want the context's cause", err)
		}
		if b.Out() != 1 {
			t.Errorf("%d out after a Get that gave up, want 1", b.Out())
		}
	})
}

// A buffer is there for the taking even when the caller has no time left.
func TestBudgetDoesNotWaitWithoutNeed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := bufpool.NewBudget(10, 1)
	buf, err := b.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.Put(buf)
}

// No two users have one buffer, and never more than the limit are out.
func TestBudgetUnderLoad(t *testing.T) {
	const limit = 3
	b := bufpool.NewBudget(8, limit)
	var out atomic.Int32
	var wg sync.WaitGroup
	for user := range byte(16) {
		wg.Go(func() {
			for range 200 {
				buf, err := b.Get(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := out.Add(1); n > limit {
					t.Errorf("%d buffers out", n)
				}
				for i := range buf {
					buf[i] = user
				}
				for _, c := range buf {
					if c != user {
						t.Errorf("user %d shares a buffer with %d", user, c)
					}
				}
				out.Add(-1)
				b.Put(buf)
			}
		})
	}
	wg.Wait()
	if b.Out() != 0 {
		t.Errorf("%d out at the end", b.Out())
	}
}
