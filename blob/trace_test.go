package blob_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

func TestTrace(t *testing.T) {
	ctx, trace := blob.WithTrace(t.Context())
	if blob.TraceOf(ctx) != trace {
		t.Fatal("the context has another trace")
	}
	remote := []blob.Hop{{Origin: "disk", Host: "far", Elapsed: time.Second}, {Origin: "http", Host: "far"}}
	trace.Add(remote...)
	blob.TraceOf(ctx).Add(blob.Hop{Origin: "caching-edge"})
	want := append(slices.Clone(remote), blob.Hop{Origin: "caching-edge"})
	got := trace.Hops()
	if !slices.Equal(got, want) {
		t.Errorf("the hops are %v, want %v", got, want)
	}
	got[0].Origin = "changed"
	if trace.Hops()[0].Origin != "disk" {
		t.Error("Hops gives out the trace's own slice")
	}
}

func TestAddOver(t *testing.T) {
	_, trace := blob.WithTrace(t.Context())
	trace.AddOver("alone")
	trace.Add(blob.Hop{Origin: "disk", Host: "far", Elapsed: time.Second})
	trace.AddOver("over")
	want := []blob.Hop{{Origin: "alone"}, {Origin: "disk", Host: "far", Elapsed: time.Second}, {Origin: "over", Elapsed: time.Second}}
	if got := trace.Hops(); !slices.Equal(got, want) {
		t.Errorf("the hops are %v, want %v", got, want)
	}
	blob.TraceOf(t.Context()).AddOver("nowhere") // takes everything and keeps nothing
}

func TestNoTrace(t *testing.T) {
	none := blob.TraceOf(t.Context())
	none.Add(blob.Hop{Origin: "x"})
	if none != nil || none.Hops() != nil {
		t.Errorf("no trace keeps %v", none.Hops())
	}
	ctx, trace := blob.WithTrace(t.Context())
	detached := blob.Detach(ctx)
	blob.TraceOf(detached).Add(blob.Hop{Origin: "later"})
	if blob.TraceOf(detached) != nil || len(trace.Hops()) != 0 {
		t.Errorf("detached work adds to the trace: %v", trace.Hops())
	}
}

func TestTraceTakesHopsFromEverywhere(t *testing.T) {
	_, trace := blob.WithTrace(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				trace.Add(blob.Hop{Origin: "a"}, blob.Hop{Origin: "b"})
				trace.Hops()
			}
		})
	}
	wg.Wait()
	hops := trace.Hops()
	if len(hops) != 1600 {
		t.Fatalf("%d hops, want 1600", len(hops))
	}
	for i := 0; i < len(hops); i += 2 {
		if hops[i].Origin != "a" || hops[i+1].Origin != "b" {
			t.Fatalf("the hops of one Add are apart at %d", i)
		}
	}
}
