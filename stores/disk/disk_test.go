package disk_test

import (
	"log/slog"
	"testing"

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
				s, err := disk.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}})
		})
	}
}
