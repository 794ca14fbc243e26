package check_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments/mount"
)

func TestStat(t *testing.T) {
	b := memBed(t).build()
	began := time.Unix(1_700_000_000, 0)
	b.open(func(m *mount.Mount) { b.must(m.WriteScrub(mount.ScrubPosition{Segment: 2, Slot: 3, Began: began})) })
	s, err := check.Stat(t.Context(), b.fs, b.dir)
	b.must(err)
	if !s.GoodStop || s.Blobs != 10 || s.Dead != 2 || s.DeadBytes != 0 || s.Files != 2 || s.Segments[index.StateSealed] != 2 ||
		s.LiveBytes != 2*b.row(1).LiveBytes || s.Used < s.LiveBytes {
		t.Errorf("%+v", s)
	}
	if s.Scrub == nil || *s.Scrub != (mount.ScrubPosition{Segment: 2, Slot: 3, Began: began}) {
		t.Errorf("scrub: %+v", s.Scrub)
	}
	var n, sd, length int64
	for _, c := range s.Sizes {
		n, sd, length = n+c.Content+c.SD, sd+c.SD, length+c.Bytes
	}
	if n != 10 || sd != 4 || length != s.Bytes || s.Sizes[0].Content+s.Sizes[0].SD != 4 {
		t.Errorf("%d blobs, %d of them SD, of %d bytes: %+v", n, sd, length, s.Sizes)
	}
	if last := s.Ages[len(s.Ages)-1]; last.Blobs != 10 || last.Bytes != s.Bytes { // the bed writes all at the time 0
		t.Errorf("%+v", s.Ages)
	}
	if len(s.Oldest) != 5 || s.Oldest[0].Hash != b.recs[1][0].Hash || len(s.Hottest) != 5 || s.Hottest[0].Hash != b.recs[2][5].Hash {
		t.Errorf("oldest %+v\nhottest %+v", s.Oldest, s.Hottest)
	}
}

// TestReadBlob reads what is whole, and gives no byte of what is not.
func TestReadBlob(t *testing.T) {
	b := memBed(t).build()
	rec := b.recs[1][4]
	got, err := check.ReadBlob(t.Context(), b.fs, b.dir, rec.Hash)
	if want := content(104, 70_000); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for name, h := range map[string]blob.Hash{"unknown": {1}, "deleted": b.recs[1][2].Hash} {
		if got, err := check.ReadBlob(t.Context(), b.fs, b.dir, h); !errors.Is(err, blob.ErrNotFound) || got != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	b.flip(b.path(1), rec.Offset+69_999)
	if got, err := check.ReadBlob(t.Context(), b.fs, b.dir, rec.Hash); !errors.Is(err, blob.ErrCorrupt) || got != nil {
		t.Errorf("a bad payload: %d bytes, %v", len(got), err)
	}
}

// TestDamageStandsInTheWay: what cannot be said is not guessed.
func TestDamageStandsInTheWay(t *testing.T) {
	for name, hurt := range map[string]func(b *bed){
		"superblock": func(b *bed) { b.flip(filepath.Join(b.dir, "superblock"), 20) },
		"header":     func(b *bed) { b.flip(b.path(1), 3) },
		"no index": func(b *bed) {
			b.must(b.fs.Rename(filepath.Join(b.dir, "index"), filepath.Join(b.dir, "quarantine", "index")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := osBed(t).build()
			hurt(b)
			if _, err := check.Stat(t.Context(), b.fs, b.dir); !errors.Is(err, check.ErrDamaged) {
				t.Errorf("stat: %v", err)
			}
			if _, err := check.ReadBlob(t.Context(), b.fs, b.dir, b.recs[1][0].Hash); !errors.Is(err, check.ErrDamaged) {
				t.Errorf("read: %v", err)
			}
		})
	}
}
