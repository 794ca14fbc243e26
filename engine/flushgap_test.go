package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// TestFlushAboveAGap has a put end above a slot that is not completed yet: Flush makes it durable all the same. The gap
// is the loser of two puts of one blob, whose dead mark is held up.
func TestFlushAboveAGap(t *testing.T) {
	for range 100 {
		if flushAboveAGap(t) {
			return
		}
	}
	t.Fatal("of two puts of a blob at once none lost, in 100 tries")
}

// gap holds up the first payload that is written, until begin, and then what is written to a slot for the second time,
// until end.
type gap struct {
	payload, made, begin, end chan struct{}

	mu    sync.Mutex
	armed bool
	slots map[int64]bool
	once  [2]sync.Once
}

func (g *gap) hook(op crashfs.Op) error {
	if op.Kind != crashfs.OpWrite || !strings.HasSuffix(op.Path, ".seg") {
		return nil
	}
	g.mu.Lock()
	armed, again := g.armed, op.Len == segments.SlotSize && g.slots[op.Off]
	if op.Len == segments.SlotSize {
		g.slots[op.Off] = true
	}
	g.mu.Unlock()
	switch {
	case armed && again:
		g.once[1].Do(func() { close(g.made); <-g.end })
	case armed && op.Len != segments.SlotSize:
		g.once[0].Do(func() { close(g.payload); <-g.begin })
	}
	return nil
}

// flushAboveAGap says false when the two puts did not meet.
func flushAboveAGap(t *testing.T) bool {
	t.Helper()
	g := &gap{
		payload: make(chan struct{}), made: make(chan struct{}), begin: make(chan struct{}), end: make(chan struct{}), slots: map[int64]bool{},
	}
	disk := mountFS(t)
	o := enginetest.Options(disk, engine.SyncInterval, false, 0) // it flushes by itself as good as never
	o.ActiveSegments = 1
	e, err := engine.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	disk.SetHook(g.hook)
	mustPut(t, e, enginetest.BlobOf(7, 0, 5000))
	g.mu.Lock()
	g.armed = true
	g.mu.Unlock()
	twice := enginetest.BlobOf(7, 1, 6000)
	var puts sync.WaitGroup
	both := make(chan struct{})
	for range 2 {
		puts.Go(func() {
			if err := e.Put(context.Background(), twice, blob.KindContent); err != nil {
				t.Error(err)
			}
		})
	}
	<-g.payload
	eventually(t, "the second put", func() bool { return e.Stats().PutsInFlight == 2 })
	close(g.begin)
	go func() { puts.Wait(); close(both) }()
	met := false
	select {
	case <-g.made:
		met = true
	case <-both:
	}
	if met {
		flushMustKeep(t, e, disk, o)
	}
	close(g.end)
	<-both
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return met
}

func flushMustKeep(t *testing.T, e *engine.Engine, disk *crashfs.FS, o engine.Options) {
	t.Helper()
	v := enginetest.BlobOf(7, 2, 7000)
	err := e.Flush(t.Context()) // up to the gap
	mustPut(t, e, v)
	if err = errors.Join(err, e.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		o.FS, _ = disk.Cut(seed)
		after, err := engine.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		mustGet(t, after, v)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
