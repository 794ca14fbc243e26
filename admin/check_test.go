package admin_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// check looks at the mount while it is served.
func (b *bed) check(o check.Options) check.Report {
	b.t.Helper()
	served, err := b.client.Find(b.t.Context(), b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := check.Online(b.t.Context(), diskfs.OS(), b.dir, served, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// TestNoFalseFindings checks a mount over and over while blobs are put, deleted, put again, and evicted, so that
// segments are made, marked, punched and unlinked under the checker.
func TestNoFalseFindings(t *testing.T) {
	leaktest.Check(t)
	for _, policy := range []string{"interval", "never"} {
		t.Run(policy, func(t *testing.T) {
			const blobs = 1000
			b := serve(t, disk.Options{Mode: disk.ModeSegments, SegmentSize: 2 << 20, MaxSize: 34 << 20, Sync: policy}, admin.Options{})
			all := make([]blob.Verified, blobs)
			for i := range all {
				all[i] = makeBlob(t, uint64(i), 1+i*1500%60_000)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var churn sync.WaitGroup
			for w := range 3 {
				churn.Go(func() {
					for i := w; ctx.Err() == nil; i += 7 {
						v := all[i%blobs]
						if err := b.store.Put(ctx, v, blob.KindContent); err != nil && ctx.Err() == nil && !errors.Is(err, blob.ErrFull) {
							t.Error(err)
							return
						}
						if i%3 == w {
							if err := b.store.Delete(ctx, all[(i+blobs/2)%blobs].Hash()); err != nil && ctx.Err() == nil {
								t.Error(err)
								return
							}
						}
					}
				})
			}
			var looked, gone, runs int64
			for until := time.Now().Add(patience); ; runs++ {
				r := b.check(check.Options{Payloads: runs%2 == 0, Hashes: runs%4 == 0})
				if !r.Clean() {
					t.Errorf("run %d: %s", runs, r)
					break
				}
				looked, gone = looked+r.Blobs, gone+r.Gone
				if st := b.store.Stats(); runs >= 20 && gone >= 20 && st.Unlinked >= 1 && st.Evicted >= 20 {
					break
				}
				if time.Now().After(until) {
					t.Fatalf("too little happened: %d runs, %d gone, %+v", runs, gone, b.store.Stats())
				}
			}
			cancel()
			churn.Wait()
			t.Logf("%d runs over %d rows, %d records removed under them, %d segments unlinked, %d blobs evicted",
				runs, looked, gone, b.store.Stats().Unlinked, b.store.Stats().Evicted)
		})
	}
}

// TestDamageIsFound damages a payload, a slot and a whole segment of a mount that serves.
func TestDamageIsFound(t *testing.T) {
	leaktest.Check(t)
	b := serve(t, disk.Options{Mode: disk.ModeSegments, SegmentSize: 2 << 20}, admin.Options{})
	for i := range 200 {
		b.put(uint64(i), 30_000)
	}
	if r := b.check(check.Options{Hashes: true}); !r.Clean() || r.Blobs != 200 || r.Read != 200 || r.Taken.IsZero() {
		t.Fatal(r)
	}
	owner, err := b.client.Find(t.Context(), b.dir)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := owner.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	places := readPlaces(t, rows)
	segs := map[uint64][]place{}
	for _, p := range places {
		segs[uint64(p.Segment)] = append(segs[uint64(p.Segment)], p)
	}
	if len(segs) < 3 {
		t.Fatalf("%d segments", len(segs))
	}
	patch(t, b.dir, segs[1][0].Location, segs[1][0].Offset+100)
	patch(t, b.dir, segs[1][1].Location, 4096+int64(segs[1][1].Slot)*76+10)
	if err := os.Remove(segmentPath(b.dir, 2)); err != nil {
		t.Fatal(err)
	}
	r := b.check(check.Options{Payloads: true})
	want := map[check.Kind]int64{check.Payload: 1, check.RowWithoutSlot: 1, check.SegmentMissing: 1}
	if len(r.Found) != len(want) {
		t.Errorf("%s", r)
	}
	for k, n := range want {
		if r.Found[k] != n {
			t.Errorf("%s: %d, want %d", k, r.Found[k], n)
		}
	}
	for _, f := range r.Findings {
		if f.Kind == check.Payload && f.Hash != segs[1][0].hash {
			t.Errorf("%s, want %s", f, segs[1][0].hash)
		}
	}
	// What the store has dropped is no finding any more.
	for _, p := range segs[1][:2] {
		if err := b.store.Delete(t.Context(), p.hash); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range segs[2] {
		if err := b.store.Delete(t.Context(), p.hash); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.check(check.Options{Payloads: true}); !r.Clean() {
		t.Error(r)
	}
}

// TestStatOnline compares the figures of a mount that serves with those of the same mount at rest.
func TestStatOnline(t *testing.T) {
	leaktest.Check(t)
	b := serve(t, disk.Options{ScrubPeriod: time.Hour}, admin.Options{})
	var first, last blob.Hash
	for i := range 30 {
		last = b.put(uint64(i), 10_000)
		if i == 0 {
			first = last
		}
	}
	served, err := b.client.Find(t.Context(), "")
	if err != nil || served.Dir != b.dir {
		t.Fatal(served, err)
	}
	st, err := check.StatOnline(t.Context(), diskfs.OS(), b.dir, served)
	if err != nil {
		t.Fatal(err)
	}
	if st.Blobs != 30 || st.Bytes != 300_000 || st.Oldest[0].Hash != first || st.Hottest[0].Hash != last || st.Files == 0 || st.Used == 0 {
		t.Errorf("%+v", st)
	}
	figures, err := served.Stat(t.Context())
	if err != nil || figures.Blobs != 30 || figures.Scrub.Period != time.Hour || figures.Dir != b.dir {
		t.Errorf("%+v, %v", figures, err)
	}
	b.stop()
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := check.Stat(t.Context(), diskfs.OS(), b.dir)
	if err != nil {
		t.Fatal(err)
	}
	if rest.Blobs != st.Blobs || rest.Bytes != st.Bytes || rest.LiveBytes != st.LiveBytes || rest.Oldest[0].Hash != first || !rest.Taken.IsZero() {
		t.Errorf("at rest %+v, served %+v", rest, st)
	}
}
