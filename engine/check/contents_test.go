package check_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
)

// TestContents reads a mount that ended in good order, and one that did not.
func TestContents(t *testing.T) {
	b := memBed(t).build()
	list := func(c *check.Contents) map[blob.Hash]bool {
		t.Helper()
		got, last := map[blob.Hash]bool{}, blob.Hash{}
		b.must(c.List(t.Context(), blob.Hash{}, func(h blob.Hash, size int64, kind blob.Kind) error {
			if bytes.Compare(h[:], last[:]) <= 0 {
				t.Error("out of order")
			}
			last = h
			data, err := c.Blob(h)
			if err != nil || int64(len(data)) != size || blob.Sum(data) != h {
				t.Errorf("blob %s: %d bytes, %v", h.Short(), len(data), err)
			}
			if kind != blob.KindSD && kind != blob.KindContent {
				t.Errorf("kind %v", kind)
			}
			settled, err := c.Settled(h)
			b.must(err)
			got[h] = settled
			return nil
		}))
		return got
	}
	b.must(check.Read(t.Context(), b.fs, b.dir, func(c *check.Contents) error {
		if got := list(c); len(got) != 10 || c.Blobs() != 10 {
			t.Errorf("%d blobs, Blobs says %d", len(got), c.Blobs())
		}
		if at, err := c.Written(b.recs[1][0].Hash); err != nil || !at.Equal(time.Unix(int64(b.recs[1][0].Time), 0)) {
			t.Errorf("written %v, %v", at, err)
		}
		if _, err := c.Blob(b.recs[1][2].Hash); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("a deleted blob: %v", err)
		}
		return nil
	}))

	b.forget(b.recs[1][4])
	b.unclean(3)
	b.must(check.Read(t.Context(), b.fs, b.dir, func(c *check.Contents) error {
		got := list(c)
		for id, recs := range b.recs {
			for _, rec := range recs {
				settled, err := c.Settled(rec.Hash)
				b.must(err)
				if want := id == 2 || rec.Slot < 3; settled != want {
					t.Errorf("%d:%d is settled: %v", id, rec.Slot, settled)
				}
			}
		}
		if _, there := got[b.recs[1][4].Hash]; there {
			t.Error("a record without a row is listed")
		}
		return nil
	}))

	own := errors.New("of the caller")
	if err := check.Read(t.Context(), b.fs, b.dir, func(*check.Contents) error { return own }); !errors.Is(err, own) {
		t.Errorf("an error of the caller: %v", err)
	}
	b.must(b.fs.Remove(b.path(2)))
	if err := check.Read(t.Context(), b.fs, b.dir, func(*check.Contents) error { return nil }); !errors.Is(err, check.ErrDamaged) {
		t.Errorf("without a segment: %v", err)
	}
}
