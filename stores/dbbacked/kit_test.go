package dbbacked_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
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
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openStore(t testing.TB, o dbbacked.Options) *dbbacked.Store {
	t.Helper()
	o.Logger = quiet
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
	gate gate
}

// gate is shut while the catalogue is away.
type gate struct {
	shut, frozen chan struct{}
}

// answers is what a call of the catalogue meets first.
func (a *away) answers(ctx context.Context) error {
	select {
	case <-a.gate.frozen:
		<-ctx.Done()
		return fmt.Errorf("%w: no answer in time: %w", metadata.ErrUnavailable, ctx.Err())
	default:
	}
	select {
	case <-a.gate.shut:
		return fmt.Errorf("%w: connection refused", metadata.ErrUnavailable)
	default:
	}
	return nil
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
	last := ""
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, err := difference(t.Context(), l, c)
		if err == nil && text == "" {
			return
		}
		if err != nil {
			text = err.Error()
		}
		if last = text; time.Now().After(deadline) {
			t.Fatalf("store and catalogue do not come to agree: %s", last)
		}
	}
}
