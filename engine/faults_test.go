package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// answerTime is far more than any call may take on a disk that fails.
const answerTime = 30 * time.Second

// mountFS is a file system in memory with the folder of a mount, which the checker looks at when the test ends.
func mountFS(t *testing.T) *crashfs.FS {
	t.Helper()
	fs := crashfs.New()
	if err := errors.Join(fs.Mkdir(enginetest.Dir), fs.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	checktest.After(t, fs, enginetest.Dir)
	return fs
}

// answers fails the test when f does not return.
func answers(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(answerTime):
		t.Fatalf("%s does not return", what)
	}
}

// TestOpenAnswers fails each write-side call of Open in turn: Open returns, and after the fault is gone it succeeds.
func TestOpenAnswers(t *testing.T) {
	for n := 1; ; n++ {
		fs := mountFS(t)
		var calls atomic.Int64
		var open atomic.Bool
		open.Store(true)
		fs.SetHook(func(crashfs.Op) error {
			if open.Load() && int(calls.Add(1)) == n {
				return syscall.EIO
			}
			return nil
		})
		o := enginetest.Options(fs, engine.SyncInterval, false, 1)
		var e *engine.Engine
		var err error
		answers(t, "Open", func() { e, err = engine.Open(t.Context(), o) })
		open.Store(false)
		if err == nil {
			answers(t, "Close", func() { _ = e.Close() }) // the fault may have hit behind Open
		}
		disk, _ := fs.Cut(0)
		e, err = engine.Open(t.Context(), enginetest.Options(disk, engine.SyncInterval, false, 1))
		if err != nil {
			t.Fatalf("call %d failed: the next open: %v", n, err)
		}
		if err := e.Close(); err != nil {
			t.Errorf("call %d failed: the next close: %v", n, err)
		}
		if int(calls.Load()) < n {
			t.Logf("%d calls walked", n-1)
			return
		}
	}
}

// TestFailedSyncAcknowledgesNobody fails one sync of a segment below concurrent puts, and cuts the power: what was
// acknowledged is there.
func TestFailedSyncAcknowledgesNobody(t *testing.T) {
	for seed := range uint64(12) {
		fs := mountFS(t)
		e, err := engine.Open(t.Context(), enginetest.Options(fs, engine.SyncAlways, false, 2))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "two active segments", func() bool { return e.Stats().Segments["active"] == 2 })
		var syncs atomic.Uint64
		fs.SetHook(func(op crashfs.Op) error {
			if op.Kind == crashfs.OpSync && strings.HasSuffix(op.Path, ".seg") {
				time.Sleep(time.Millisecond) // so that others queue for the next sync; not a wait for anything
				if syncs.Add(1) == 2+seed%3 {
					return syscall.EIO
				}
			}
			return nil
		})
		var mu sync.Mutex
		acked := map[int]bool{}
		for wave := 0; syncs.Load() < 2+seed%3; wave++ { // how many puts share a sync is for the engine to say
			var wg sync.WaitGroup
			for i := 24 * wave; i < 24*(wave+1); i++ {
				wg.Go(func() {
					if e.Put(context.Background(), enginetest.Blob(7, i), blob.KindContent) == nil {
						mu.Lock()
						acked[i] = true
						mu.Unlock()
					}
				})
			}
			wg.Wait()
		}
		disk, report := fs.Cut(seed)
		fs.SetHook(nil)
		faults := e.Stats().IOErrors["sync"]
		_ = e.Close()
		if faults == 0 {
			t.Fatal("no sync failed")
		}
		e, err = engine.Open(t.Context(), enginetest.Options(disk, engine.SyncAlways, false, 2))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.WaitRecovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range acked {
			if ok, _ := e.Has(t.Context(), enginetest.Blob(7, i).Hash()); !ok {
				t.Errorf("seed %d: blob %d was acknowledged and is lost (%v)", seed, i, report)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUnreadableSegmentStays has a segment of a newer version, which the index does not know, among the files: it is
// left alone, over restarts too.
func TestUnreadableSegmentStays(t *testing.T) {
	o := engine.Options{Dir: t.TempDir(), MaxSize: 1 << 30, Logger: slog.New(slog.DiscardHandler)}
	e := open(t, o)
	mustPut(t, e, randomBlob(t, 100))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(o.Dir, "segments", "00000000000000ff.seg")
	names, err := filepath.Glob(filepath.Join(o.Dir, "segments", "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatalf("segments: %v, %v", names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, newerVersion(b), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e := open(t, o)
		if err := e.WaitRecovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustPut(t, e, randomBlob(t, 100))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(foreign); err != nil {
			t.Fatalf("the segment of a newer version: %v", err)
		}
	}
	if err := os.Remove(foreign); err != nil { // the rest of the mount is clean
		t.Error(err)
	}
}

func mustPut(t testing.TB, e *engine.Engine, v blob.Verified) {
	t.Helper()
	if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(answerTime); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// newerVersion makes a segment's bytes those of a later format, with a right checksum of the header.
func newerVersion(b []byte) []byte {
	b[8]++
	crc := segments.Checksum(b[:72])
	for i := range 4 {
		b[72+i] = byte(crc >> (8 * i))
	}
	return b
}
