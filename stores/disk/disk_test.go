package disk_test

import (
	"log/slog"
	"testing"

	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// open opens a store with some options over the defaults of these tests.
func open(t *testing.T, o disk.Options) *disk.Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	checktest.After(t, o.FS, o.MountPoint)
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := s.Pinned(); n != 0 {
			t.Errorf("%d handles were not released", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestVolatile(t *testing.T) {
	for sync, want := range map[string]string{
		"":         "disk-a has sync: interval, which answers before the disk has the blob; sync: always does not",
		"never":    "disk-a has sync: never, which answers before the disk has the blob; sync: always does not",
		"always":   "",
		"interval": "disk-a has sync: interval, which answers before the disk has the blob; sync: always does not",
	} {
		s := open(t, disk.Options{Name: "a", MountPoint: t.TempDir(), Mode: disk.ModeSegments, SegmentSize: 16 << 20, Sync: sync})
		if got := stores.VolatileOf(s); got != want {
			t.Errorf("sync %q: %q", sync, got)
		}
	}
}

func TestConformance(t *testing.T) {
	for name, o := range map[string]disk.Options{
		"segments":         {Mode: disk.ModeSegments, SegmentSize: 16 << 20},
		"segments, always": {Mode: disk.ModeSegments, SegmentSize: 16 << 20, Sync: "always"},
		"sharded, flat":    {Mode: disk.ModeSharded},
		"sharded, always":  {ShardingSize: 2, HasShardingSize: true, Sync: "always"},
		"sharded, never":   {ShardingSize: 3, HasShardingSize: true, Sync: "never"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Config{OpenDir: func(t *testing.T, dir string) stores.Store {
				o := o
				o.MountPoint, o.MinFree = dir, 1<<20
				checktest.After(t, nil, dir)
				s, err := disk.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}})
		})
	}
}
