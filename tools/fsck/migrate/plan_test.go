package migrate

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// What is given in any order comes back sorted, with nothing lost, whether it fits in memory or not.
func TestPlan(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 1000, 1234} {
		dir := filepath.Join(t.TempDir(), "plan")
		p, err := newPlan(diskfs.OS(), dir)
		if err != nil {
			t.Fatal(err)
		}
		p.keep = 100
		var want []item
		rnd := rand.New(rand.NewPCG(1, uint64(n)))
		for range n {
			it := item{order: rnd.Uint64N(50), size: rnd.Uint32(), ref: refOf(rnd.Uint64(), rnd.Uint32())}
			want = append(want, it)
			if err := p.add(it); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, byOrder)
		var got []item
		if err := p.each(t.Context(), func(it item) error { got = append(got, it); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d items: %d came back, or in another order", n, len(got))
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("the plan left its folder")
		}
	}
}

// What a killed run left goes; what is not of a plan is not touched.
func TestPlanFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"run-000000", "notes"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := newPlan(diskfs.OS(), dir); err == nil {
		t.Error("a folder with other things was taken")
	}
	if _, err := os.Stat(filepath.Join(dir, "notes")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "notes")); err != nil {
		t.Fatal(err)
	}
	if _, err := newPlan(diskfs.OS(), dir); err != nil {
		t.Error(err)
	}
}

func TestPace(t *testing.T) {
	p := pace{perSecond: 1 << 20}
	began := time.Now()
	for range 4 {
		if err := p.wait(t.Context(), 1<<17); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 3*125*time.Millisecond {
		t.Errorf("4 reads of an eighth of a second's share took %v", took)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.wait(gone, 1<<30); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}
