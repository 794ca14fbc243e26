package all

import (
	"context"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/bytesize"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/disk"
)

type diskSpec struct {
	disk.Options
	above bool // MaxSize is that of a store above
}

func readDisk(n *compose.Node) compose.Spec {
	s := &diskSpec{}
	n.Text("name", &s.Name)
	n.Require("mount_point", "it is the folder to keep blobs in")
	n.Text("mount_point", &s.MountPoint)
	n.Directory("mount_point", s.MountPoint)
	mode := string(s.Mode)
	n.OneOf("mode", &mode, string(disk.ModeSegments), string(disk.ModeSharded))
	s.Mode = disk.Mode(mode)
	s.ShardingSize, s.HasShardingSize = readShardingSize(n)
	n.Size("max_size", &s.MaxSize, 1)
	n.Size("min_free", &s.MinFree, 1)
	n.Size("segment_size", &s.SegmentSize, blob.MaxSize)
	n.Size("index_cache", &s.IndexCache, 1)
	n.OneOf("sync", &s.Sync, "always", "interval", "never")
	n.Text("eviction", &s.Eviction)
	var period time.Duration
	if n.Duration("scrub_period", &period, 0) {
		n.Report().Warnf(n.Key("scrub_period"), "has no effect: this version does not scrub yet")
	}
	if err := s.Check(); err != nil && s.MountPoint != "" {
		n.Report().Errorf(n.Map.Node(), "%s", err)
	}
	return s
}

// Open makes the store.
func (s *diskSpec) Open(ctx context.Context, env compose.Env) (stores.Store, error) {
	s.Logger = env.Logger
	store, err := disk.Open(ctx, s.Options)
	if err != nil {
		return nil, err // not the nil *Store, which would make a store that is not nil
	}
	return store, nil
}

// Cap implements compose.Capped.
func (s *diskSpec) Cap(bytes int64) error {
	if s.MaxSize == 0 || bytes < s.MaxSize {
		s.MaxSize, s.above = bytes, true
	}
	return s.Check()
}

// Describe implements compose.Describer.
func (s *diskSpec) Describe() string {
	parts := []string{s.MountPoint}
	if s.Mode != disk.ModeAuto {
		parts = append(parts, string(s.Mode))
	}
	if s.MaxSize > 0 {
		bound := "at most " + bytesize.Size(s.MaxSize).String()
		if s.above {
			bound += " (of the store above)"
		}
		parts = append(parts, bound)
	}
	if s.Sync != "" {
		parts = append(parts, "sync "+s.Sync)
	}
	if s.Eviction != "" {
		parts = append(parts, "eviction "+s.Eviction)
	}
	return named(s.Name, strings.Join(parts, ", "))
}
