package dbbacked_test

import (
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// BenchmarkGet measures what a hit costs beyond the store below: once with a trace, as frontends have it, once without.
func BenchmarkGet(b *testing.B) {
	child := mem.New(mem.Options{})
	dir := b.TempDir()
	s := openStore(b, dbbacked.Options{
		Store: child, Catalogue: openBolt(b, filepath.Join(dir, "c.db")), Sync: dbbacked.WriteBehind, Journal: filepath.Join(dir, "j"),
	})
	blobs := make([]blob.Hash, 4096)
	for i := range blobs {
		v := storetest.Blob(b, uint64(i), 100)
		put(b, child, v, blob.KindContent)
		blobs[i] = v.Hash()
		hit(b, s, blobs[i])
	}
	for name, store := range map[string]stores.Store{"below": child, "db_backed": s} {
		for _, traced := range []string{"", ", traced"} {
			b.Run(name+traced, func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					ctx := b.Context()
					if traced != "" {
						ctx, _ = blob.WithTrace(ctx)
					}
					handle, err := store.Get(ctx, blobs[i%len(blobs)])
					if err != nil {
						b.Fatal(err)
					}
					handle.Release()
				}
			})
		}
	}
}
