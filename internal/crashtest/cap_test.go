package crashtest_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// capRun is one size of TestCap, in bytes.
type capRun struct {
	limit   int64 // max_size
	through int64 // what is put through in all
	readers int   // slow ones
	hold    int64 // what is put through while a reader reads one blob
}

func (c capRun) String() string {
	return fmt.Sprintf("%.0f MiB through a cap of %.0f MiB, %d readers that hold a blob each while %.0f MiB pass",
		mib(c.through), mib(c.limit), c.readers, mib(c.hold))
}

// mostPassed is the share of fills that may pass through the cache because its evictor is behind for a moment.
const mostPassed = 0.05

const passedThrough = "prism_fills_passed_through_total"

// TestCap puts many times the cap through the program while slow readers hold what is evicted.
func TestCap(t *testing.T) {
	size := capRun{limit: 128 << 20, through: 600 << 20, readers: 8, hold: 300 << 20}
	if *onLoop {
		size = capRun{limit: 1 << 30, through: 10 << 30, readers: 50, hold: 5 << 29}
	}
	c := &capTest{t: t, capRun: size, progress: newProgress()}
	c.origin = newOrigin(t, blobs{seed: seed(t), full: 0.5})
	mount := t.TempDir()
	if *onLoop {
		mount = loopFS(t, 2*size.limit)
	}
	space := startWatch(t, mount, *onLoop)
	c.prism = start(t, settings{mount: mount, sync: "interval", maxSize: size.limit, origin: c.origin})
	c.prism.awaitReady(t)
	began := time.Now()
	c.run()
	took := time.Since(began)
	c.judge()
	c.prism.givenBack(t)
	checked := c.prism.stopClean(t, mount)
	space.check(t, size.limit)
	t.Logf("%v: %v, %.0f MiB/s", size, took.Round(time.Millisecond), mib(c.now())/took.Seconds())
	t.Logf("checker: %s", checked)
	if space.du < size.limit*3/4 {
		t.Errorf("the files never took more than %d bytes: a cap of %d was not tried", space.du, size.limit)
	}
}

// capTest is a TestCap under way.
type capTest struct {
	capRun
	*progress

	t      *testing.T
	origin *origin
	prism  *program

	next    atomic.Int64 // number of the next blob
	recent  atomic.Pointer[blob.Hash]
	held    atomic.Int64 // blobs that were read slowly, to the end
	evicted atomic.Int64 // of them, those that were gone from the cache at the end
	pinned  atomic.Int64 // the most handles that were out at once
}

// run puts blobs through and has readers hold some, until all of both is done.
func (c *capTest) run() {
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	var putting, reading, looking sync.WaitGroup
	for range 4 {
		putting.Go(func() { c.put(ctx, stop) })
	}
	for range c.readers {
		reading.Go(func() { c.read(ctx, stop) })
	}
	done := make(chan struct{})
	looking.Go(func() { c.look(ctx, stop, done) })
	putting.Wait()
	c.end()
	reading.Wait()
	close(done)
	looking.Wait()
}

// put asks for blobs that nobody asked for before, and compares them with what they should be.
func (c *capTest) put(ctx context.Context, stop func()) {
	want, got := make([]byte, blob.MaxSize), make([]byte, blob.MaxSize)
	for c.now() < c.through && ctx.Err() == nil {
		n := int(c.next.Add(1))
		want = c.origin.blobs.bytes(n, want)
		h := c.origin.offer(n, want)
		body, err := c.prism.fetch(ctx, h, got)
		if err == nil && !bytes.Equal(body, want) {
			err = fmt.Errorf("%s: %w in a body of %d bytes", h.Short(), errWrong, len(body))
		}
		if err != nil {
			c.fail(ctx, stop, fmt.Errorf("put through: %w", err))
			return
		}
		if len(body) == blob.MaxSize {
			c.recent.Store(&h)
		}
		c.add(int64(len(body)))
	}
}

// read holds one full blob after the other, and then looks whether it was evicted meanwhile.
func (c *capTest) read(ctx context.Context, stop func()) {
	r := newSlowReader()
	defer r.client.CloseIdleConnections()
	buf := make([]byte, blob.MaxSize)
	for c.now()+c.hold < c.through && ctx.Err() == nil {
		h := c.recent.Load()
		if h == nil {
			c.await(c.now() + 1) // nothing was put through yet
			continue
		}
		err := c.prism.awaitHit(ctx, *h, buf) // what is still being filled is held without a handle
		before := c.origin.asked(*h)
		if err == nil {
			err = r.hold(ctx, c.prism, *h, c.progress, c.hold)
		}
		if err == nil {
			_, err = c.prism.get(ctx, *h, buf)
		}
		if err != nil {
			c.fail(ctx, stop, fmt.Errorf("slow reader: %w", err))
			return
		}
		c.held.Add(1)
		if c.origin.asked(*h) > before {
			c.evicted.Add(1)
		}
	}
}

// fail fails the test and ends it for all, unless it is ending already.
func (c *capTest) fail(ctx context.Context, stop func(), err error) {
	if ctx.Err() == nil {
		c.t.Error(err)
	}
	stop()
	c.end()
}

// look notes how many blobs the readers hold, and ends the test early when the cache does not keep what it is given:
// each put may wait for seconds then.
func (c *capTest) look(ctx context.Context, stop func(), done <-chan struct{}) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		all, err := c.prism.series(ctx)
		if err != nil {
			c.fail(ctx, stop, fmt.Errorf("metrics: %w", err))
			return
		}
		now := int64(all[`prism_store_pinned_handles{path="store.caching.cache.disk",store="disk-crash"}`])
		c.pinned.Store(max(c.pinned.Load(), now))
		if passed := sum(c.t, all, passedThrough); passed > 10+mostPassed*sum(c.t, all, "prism_fills_total") {
			c.fail(ctx, stop, fmt.Errorf("%.0f blobs passed through the cache after %.1f MiB", passed, mib(c.now())))
			return
		}
	}
}

// judge holds what happened to what the test is to show.
func (c *capTest) judge() {
	t := c.t
	t.Helper()
	all, kept := c.kept()
	noFaults(t, all)
	t.Logf("readers: %d blobs held, at most %d at once; %d of them were evicted meanwhile; all had the right bytes",
		c.held.Load(), c.pinned.Load(), c.evicted.Load())
	for _, family := range []string{
		"prism_fills_total", passedThrough, "prism_disk_put_bytes_total", "prism_disk_evictions_total",
		"prism_disk_evicted_bytes_total", "prism_disk_punched_ranges_total", "prism_disk_unlinked_segments_total",
	} {
		t.Logf("counted: %s %.0f", family, sum(t, all, family))
	}
	if c.evicted.Load() == 0 || c.pinned.Load() < int64(c.readers)*3/4 {
		t.Error("the readers did not hold what was evicted: nothing was shown")
	}
	if !kept {
		t.Errorf("less than %.0f %% of %d bytes were kept: the others passed through", 100*(1-mostPassed), c.through)
	}
}

// kept says whether the cache kept what it was given, and what the program counted. The last fills may be under way: a
// client has its bytes before they are stored.
func (c *capTest) kept() (all map[string]float64, ok bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all, err := c.prism.series(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		ok = sum(c.t, all, "prism_disk_put_bytes_total") >= (1-mostPassed)*float64(c.through)
		if ok || time.Now().After(deadline) {
			return all, ok
		}
	}
}
