package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// holdSync makes the first sync of a file that is wanted wait for the gate. reached is closed when it does.
func holdSync(fs *crashfs.FS, wanted func(path string) bool) (reached <-chan struct{}, gate chan struct{}) {
	at, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.SetHook(func(op crashfs.Op) error {
		if op.Kind == crashfs.OpSync && wanted(op.Path) {
			once.Do(func() {
				close(at)
				<-gate
			})
		}
		return nil
	})
	return at, gate
}

func isSegment(path string) bool { return strings.HasSuffix(path, ".seg") }
func isIndexLog(path string) bool {
	return strings.HasSuffix(path, ".log") && strings.HasPrefix(path, filepath.Join(enginetest.Dir, "index"))
}

// abandoned makes a call whose caller leaves while the disk holds it.
func abandoned(t *testing.T, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("the call that was left: %v", err)
	}
}

// holdCommits makes every change of the index from now on wait for the gate, behind the delete of a blob.
func holdCommits(t *testing.T, fs *crashfs.FS, e *engine.Engine, other blob.Verified) (gate chan struct{}) {
	t.Helper()
	reached, gate := holdSync(fs, isIndexLog)
	result := make(chan error, 1)
	go func() { result <- e.Delete(context.Background(), other.Hash()) }()
	<-reached
	t.Cleanup(func() {
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
	return gate
}

// waitsFor makes a call that must not end before the gate is open: with little time it fails, with more it succeeds.
func waitsFor(t *testing.T, gate chan struct{}, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("the call with little time: %v", err)
	}
	result := make(chan error, 1)
	go func() { result <- call(t.Context()) }()
	select {
	case err := <-result:
		t.Errorf("the call did not wait: %v", err)
		result <- err
	case <-time.After(20 * time.Millisecond):
	}
	close(gate)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestDeleteAfterAnAbandonedPut: the put must not land behind a delete that was asked for after it.
func TestDeleteAfterAnAbandonedPut(t *testing.T) {
	fs := mountFS(t)
	o := small(fs)
	o.Sync = engine.SyncAlways
	e := openSmall(t, o)
	v := randomBlob(t, 5000)
	eventually(t, "an active segment", func() bool { return e.Stats().Segments["active"] == 1 })
	_, gate := holdSync(fs, isSegment)
	abandoned(t, func(ctx context.Context) error { return e.Put(ctx, v, blob.KindContent) })
	waitsFor(t, gate, func(ctx context.Context) error { return e.Delete(ctx, v.Hash()) })
	if has, err := e.Has(t.Context(), v.Hash()); has || err != nil {
		t.Errorf("after the delete: %v, %v", has, err)
	}
}

// TestPutAfterAnAbandonedDelete: the delete must not take what a put has promised after it.
func TestPutAfterAnAbandonedDelete(t *testing.T) {
	fs := mountFS(t)
	e := openSmall(t, small(fs))
	v, other := randomBlob(t, 5000), randomBlob(t, 5000)
	mustPut(t, e, v)
	mustPut(t, e, other)
	gate := holdCommits(t, fs, e, other)
	abandoned(t, func(ctx context.Context) error { return e.Delete(ctx, v.Hash()) })
	waitsFor(t, gate, func(ctx context.Context) error { return e.Put(ctx, v, blob.KindContent) })
	mustGet(t, e, v)
}

// TestPutOfACondemnedBlob: a record that a reader has found bad is on its way out, so a put stores the blob anew.
func TestPutOfACondemnedBlob(t *testing.T) {
	b := newBad(t, true)
	v := b.blobs[1]
	b.flip(b.path(1), b.recs[1].Offset+10, 1)
	e := openSmall(t, bedOptions(b.disk))
	gate := holdCommits(t, b.disk, e, b.blobs[5])
	if _, err := e.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("a damaged record: %v", err)
	}
	result := make(chan error, 1)
	go func() { result <- e.Put(t.Context(), v, blob.KindContent) }()
	time.Sleep(20 * time.Millisecond) // a put that takes the record for good is through by then
	close(gate)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	mustGet(t, e, v)
	eventually(t, "the record to be dropped", func() bool { return e.Stats().IOErrors["corrupt"] == 1 })
	mustGet(t, e, v)
}
