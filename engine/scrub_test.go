package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/segments/mount"
)

func scrubOptions(fs *crashfs.FS, period time.Duration) engine.Options {
	o := bedOptions(fs)
	o.ScrubPeriod = period
	return o
}

func passes(e *engine.Engine, n int64) func() bool {
	return func() bool { return e.Stats().Scrub.Passes >= n }
}

// TestScrubFindsDamage damages payloads that nobody asks for: a pass finds them, and they are misses; all else stays.
func TestScrubFindsDamage(t *testing.T) {
	leaktest.Check(t)
	b := newBad(t, true)
	hurt := []int{1, 3, 5}
	for _, i := range hurt {
		b.flip(b.path(i), b.recs[i].Offset+int64(b.recs[i].Length)-1, 3)
	}
	e, err := engine.Open(t.Context(), scrubOptions(b.disk, 200*time.Millisecond))
	b.must(err)
	eventually(t, "a pass of the scrub", passes(e, 1))
	eventually(t, "the removal", func() bool { return e.Stats().Quarantined == int64(len(hurt)) })
	st := e.Stats()
	if st.Scrub.Findings != int64(len(hurt)) || st.Scrub.Blobs < int64(len(b.blobs)) || st.Scrub.Bytes < 2<<20 {
		t.Errorf("%+v", st.Scrub)
	}
	for i, v := range b.blobs {
		ok, err := e.Has(t.Context(), v.Hash())
		if want := !slices.Contains(hurt, i); ok != want || err != nil {
			t.Errorf("blob %d is there: %t, %v, want %t", i, ok, err, want)
		}
		if ok {
			mustGet(t, e, v)
		}
	}
	for _, i := range hurt { // to be fetched again
		mustPut(t, e, b.blobs[i])
	}
	seen := e.Stats().Scrub.Passes
	eventually(t, "two more passes", passes(e, seen+2))
	if n := e.Stats().Scrub.Findings; n != int64(len(hurt)) {
		t.Errorf("%d findings after the blobs were stored anew, want still %d", n, len(hurt))
	}
	b.must(e.Close())
	if n := e.Pinned(); n != 0 {
		t.Errorf("%d pins are out after the close", n)
	}
}

// payloadReads notes which records' payloads are read, by their numbers, and can hold one of them up.
type payloadReads struct {
	b    *badBed
	mu   sync.Mutex
	seen []int
	fail map[int]error
	hold int // a record, or -1
	held chan struct{}
	let  chan struct{}
}

func watch(b *badBed) *payloadReads {
	w := &payloadReads{b: b, hold: -1, fail: map[int]error{}, held: make(chan struct{}), let: make(chan struct{})}
	b.disk.SetReadHook(w.hook)
	return w
}

func (w *payloadReads) hook(op crashfs.Op) error {
	for i, rec := range w.b.recs {
		if op.Path != w.b.path(i) || op.Off != rec.Offset || op.Len == 0 {
			continue
		}
		w.mu.Lock()
		w.seen = append(w.seen, i)
		hold, err := w.hold == i, w.fail[i]
		if hold {
			w.hold = -1
		}
		w.mu.Unlock()
		if hold {
			close(w.held)
			<-w.let
		}
		return err
	}
	return nil
}

func (w *payloadReads) first() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) == 0 {
		return -1
	}
	return w.seen[0]
}

// TestScrubGoesOn closes an engine in the midst of a pass: the next one goes on behind the record that was read last.
func TestScrubGoesOn(t *testing.T) {
	leaktest.Check(t)
	b := newBad(t, true)
	w := watch(b)
	w.hold = 1
	e, err := engine.Open(t.Context(), scrubOptions(b.disk, 10*time.Second))
	b.must(err)
	<-w.held
	closed := make(chan error, 1)
	go func() { closed <- e.Close() }()
	eventually(t, "the close to begin", func() bool {
		_, err := e.Has(t.Context(), b.blobs[0].Hash())
		return errors.Is(err, blob.ErrUnavailable)
	})
	close(w.let)
	answers(t, "Close", func() { b.must(<-closed) })
	w = watch(b)
	e, err = engine.Open(t.Context(), scrubOptions(b.disk, 200*time.Millisecond))
	b.must(err)
	eventually(t, "a pass of the scrub", passes(e, 1))
	b.must(e.Close())
	if got := w.first(); got != 2 {
		t.Errorf("the scrub went on with record %d, want 2", got)
	}
}

// TestScrubOfOtherPositions begins anew, or goes on, whatever the file with the position says.
func TestScrubOfOtherPositions(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"garbage":           "\x00\xff garbage",
		"another form":      "prism scrub 2: segment 1 slot 0 began 0\n",
		"a far future":      "prism scrub 1: segment 9 slot 9 began 99999999999\n",
		"a segment to come": "prism scrub 1: segment 999999 slot 7 began 1\n",
		"a slot to come":    "prism scrub 1: segment 1 slot 4000000000 began 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBad(t, true)
			b.flip(b.path(0), b.recs[0].Offset, 0)
			b.write(filepath.Join(enginetest.Dir, "scrub"), 0, []byte(text))
			e, err := engine.Open(t.Context(), scrubOptions(b.disk, 100*time.Millisecond))
			b.must(err)
			eventually(t, "the finding", func() bool { return e.Stats().Scrub.Findings == 1 })
			b.must(e.Close())
		})
	}
}

// TestScrubOfAFailingDisk has reads fail: what the device cannot give is a finding and a miss, what the process lacks is
// neither. That the position cannot be written ends nothing.
func TestScrubOfAFailingDisk(t *testing.T) {
	leaktest.Check(t)
	b := newBad(t, true)
	w := watch(b)
	w.fail[0], w.fail[4] = syscall.EMFILE, syscall.EIO
	b.disk.SetHook(func(op crashfs.Op) error {
		if strings.Contains(op.Path, "scrub") {
			return syscall.EIO
		}
		return nil
	})
	e, err := engine.Open(t.Context(), scrubOptions(b.disk, 200*time.Millisecond))
	b.must(err)
	eventually(t, "two passes", passes(e, 2))
	eventually(t, "the removal", func() bool { return e.Stats().Quarantined == 1 })
	st := e.Stats()
	if st.Scrub.Findings != 1 || st.IOErrors["read"] < 2 || st.IOErrors["write"] < 1 {
		t.Errorf("%+v, errors %v", st.Scrub, st.IOErrors)
	}
	b.disk.SetReadHook(nil)
	mustGet(t, e, b.blobs[0])
	if _, err := e.Get(context.Background(), b.blobs[4].Hash()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a blob that the device could not read: %v", err)
	}
	b.must(e.Close())
}

// TestNoScrub reads and writes nothing.
func TestNoScrub(t *testing.T) {
	b := newBad(t, true)
	w := watch(b)
	e, err := engine.Open(t.Context(), bedOptions(b.disk))
	b.must(err)
	b.must(e.Flush(t.Context()))
	b.must(e.Close())
	if got := w.first(); got >= 0 {
		t.Errorf("record %d was read", got)
	}
	if _, err := b.disk.Stat(filepath.Join(enginetest.Dir, "scrub")); err == nil {
		t.Error("a position was written")
	}
	if _, err := engine.Open(t.Context(), scrubOptions(b.disk, -1)); !errors.Is(err, engine.ErrOptions) {
		t.Errorf("a negative period: %v", err)
	}
}

// TestScrubKeepsItsPosition writes it down for the next start.
func TestScrubKeepsItsPosition(t *testing.T) {
	b := newBad(t, true)
	e, err := engine.Open(t.Context(), scrubOptions(b.disk, 100*time.Millisecond))
	b.must(err)
	eventually(t, "two passes", passes(e, 2))
	b.must(e.Close())
	m, err := mount.Open(b.disk, enginetest.Dir, mount.Superblock{})
	b.must(err)
	at, ok := m.ReadScrub()
	b.must(m.Close())
	if !ok || at.Began.IsZero() {
		t.Errorf("the position is lost: %+v", at)
	}
}
