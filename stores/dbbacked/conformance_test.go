package dbbacked_test

import (
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

func TestConformance(t *testing.T) {
	for _, sync := range []dbbacked.Sync{dbbacked.WriteThrough, dbbacked.WriteBehind} {
		t.Run(string(sync)+" over segments", func(t *testing.T) { conforms(t, sync, disk.ModeSegments) })
		t.Run(string(sync)+" over sharded", func(t *testing.T) { conforms(t, sync, disk.ModeSharded) })
		t.Run(string(sync)+" over mem", func(t *testing.T) {
			storetest.Run(t, storetest.Config{Open: func(t *testing.T) stores.Store {
				dir := t.TempDir()
				return openStore(t, dbbacked.Options{
					Store: mem.New(mem.Options{}), Catalogue: openBolt(t, filepath.Join(dir, "c.db")), Sync: sync,
					Journal: filepath.Join(dir, "journal"),
				})
			}})
		})
	}
}

func conforms(t *testing.T, sync dbbacked.Sync, mode disk.Mode) {
	storetest.Run(t, storetest.Config{OpenDir: func(t *testing.T, dir string) stores.Store {
		return openStore(t, dbbacked.Options{
			Store:     openDisk(t, disk.Options{MountPoint: filepath.Join(dir, "mount"), Mode: mode}),
			Catalogue: openBolt(t, filepath.Join(dir, "c.db")), Sync: sync,
		})
	}})
}
