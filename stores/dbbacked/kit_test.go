package dbbacked_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
)

var quiet = slog.New(slog.DiscardHandler)

func openBolt(t testing.TB, path string) metadata.Catalogue {
	t.Helper()
	c, err := bolt.Open(bolt.Options{Path: path, Tracking: metadata.TrackBlobs})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func openDisk(t testing.TB, o disk.Options) *disk.Store {
	t.Helper()
	o.Logger = quiet
	checktest.After(t, o.FS, o.MountPoint)
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openStore(t testing.TB, o dbbacked.Options) *dbbacked.Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	if o.Tracking == metadata.TrackNone {
		o.Tracking = metadata.TrackBlobs
	}
	s, err := dbbacked.Open(o)
	if err != nil {
		t.Fatal(errors.Join(err, o.Store.Close(), o.Catalogue.Close()))
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// away is a catalogue that a test may make unreachable: its calls then fail, or do not answer before their context ends.
type away struct {
	metadata.Catalogue
	mood atomic.Int32
}

// The moods.
const (
	here int32 = iota
	gone
	frozen
)

// answers is what a call of the catalogue meets first.
func (a *away) answers(ctx context.Context) error {
	for a.mood.Load() == frozen {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: no answer in time: %w", metadata.ErrUnavailable, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if a.mood.Load() == gone {
		return fmt.Errorf("%w: connection refused", metadata.ErrUnavailable)
	}
	return nil
}

func (a *away) Stored(ctx context.Context, hashes []blob.Hash) ([]bool, error) {
	if err := a.answers(ctx); err != nil {
		return nil, err
	}
	return a.Catalogue.Stored(ctx, hashes)
}

func (a *away) Status(ctx context.Context, h blob.Hash) (metadata.Status, error) {
	if err := a.answers(ctx); err != nil {
		return metadata.Status{}, err
	}
	return a.Catalogue.Status(ctx, h)
}

func (a *away) PutBlobs(ctx context.Context, blobs []metadata.Blob) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	return a.Catalogue.PutBlobs(ctx, blobs)
}

func (a *away) PutStream(ctx context.Context, sd metadata.Blob, desc stream.SD) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	return a.Catalogue.PutStream(ctx, sd, desc)
}

func (a *away) Missing(ctx context.Context, sd blob.Hash) ([]blob.Hash, bool, error) {
	if err := a.answers(ctx); err != nil {
		return nil, false, err
	}
	return a.Catalogue.Missing(ctx, sd)
}

func (a *away) Touch(ctx context.Context, accesses []metadata.Access) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	return a.Catalogue.Touch(ctx, accesses)
}

func (a *away) Delete(ctx context.Context, hashes []blob.Hash) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	return a.Catalogue.Delete(ctx, hashes)
}

func (a *away) Walk(ctx context.Context, from blob.Hash, fn func(metadata.Row) error) error {
	if err := a.answers(ctx); err != nil {
		return err
	}
	return a.Catalogue.Walk(ctx, from, fn)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// difference says on which blob a lister and a catalogue disagree, or nothing.
func difference(ctx context.Context, l stores.Lister, c metadata.Catalogue) (string, error) {
	has := map[blob.Hash]bool{}
	if err := l.List(ctx, blob.Hash{}, func(h blob.Hash, _ int64, _ blob.Kind) error { has[h] = true; return nil }); err != nil {
		return "", err
	}
	text := ""
	err := c.Walk(ctx, blob.Hash{}, func(r metadata.Row) error {
		if r.Stored && !has[r.Hash] {
			text = r.Hash.Short() + " is in the catalogue alone"
		}
		if r.Stored {
			delete(has, r.Hash)
		}
		return nil
	})
	for h := range has {
		text = h.Short() + " is in the store alone"
	}
	return text, err
}

// agree waits until store and catalogue agree row by row.
func agree(t testing.TB, l stores.Lister, c metadata.Catalogue) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, err := difference(t.Context(), l, c)
		if err == nil && text == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("store and catalogue do not come to agree: %s %v", text, err)
		}
	}
}

// storedIn says what a catalogue says of a blob.
func storedIn(t testing.TB, c metadata.Catalogue, h blob.Hash) bool {
	t.Helper()
	stored, err := c.Stored(t.Context(), []blob.Hash{h})
	if err != nil {
		t.Fatal(err)
	}
	return stored[0]
}

// rowOf is the row of a blob.
func rowOf(t testing.TB, c metadata.Catalogue, h blob.Hash) (row metadata.Row, known bool) {
	t.Helper()
	errFound := errors.New("found")
	err := c.Walk(t.Context(), h, func(r metadata.Row) error {
		row, known = r, r.Hash == h
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		t.Fatal(err)
	}
	return row, known
}

func put(t testing.TB, s stores.Store, v blob.Verified, kind blob.Kind) {
	t.Helper()
	if err := s.Put(t.Context(), v, kind); err != nil {
		t.Fatal(err)
	}
}

// hit gets a blob and lets it go.
func hit(t testing.TB, s stores.Store, h blob.Hash) {
	t.Helper()
	handle, err := s.Get(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	handle.Release()
}

// sdOf is an SD blob that lists content.
func sdOf(t testing.TB, content ...blob.Verified) blob.Verified {
	t.Helper()
	text := `{"stream_name": "61", "stream_hash": "` + blob.Sum(nil).String() + `", "blobs": [`
	for i, c := range content {
		text += fmt.Sprintf(`{"blob_hash": "%s", "blob_num": %d, "length": %d}, `, c.Hash(), i, c.Size())
	}
	data := []byte(text + fmt.Sprintf(`{"blob_num": %d, "length": 0}]}`, len(content)))
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
