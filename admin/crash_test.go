package admin_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// TestAfterAPowerCut checks a mount from the first moment on after the power was cut, while recovery still is at work and
// blobs come and go.
func TestAfterAPowerCut(t *testing.T) {
	leaktest.Check(t)
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := disk.Options{MountPoint: "/m", Mode: disk.ModeSegments, SegmentSize: 2 << 20, IndexCache: 1 << 20}
			o.Sync = []string{"interval", "always", "never"}[seed%3]
			fsys := crashfs.New()
			o.FS = fsys
			before := openStore(t, o)
			for i := range 150 {
				if err := before.Put(t.Context(), makeBlob(t, uint64(i), 1+i*601%50_000), blob.KindContent); err != nil {
					t.Fatal(err)
				}
				if i%4 == 3 {
					if err := before.Delete(t.Context(), makeBlob(t, uint64(i-3), 1+(i-3)*601%50_000).Hash()); err != nil {
						t.Fatal(err)
					}
				}
				if i == int(seed)*10 {
					if err := before.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			image, _ := fsys.Cut(seed)
			o.FS = image
			b := &bed{t: t, store: openStore(t, o), dir: "/m"}
			b.start(admin.Options{Stores: []*disk.Store{b.store}})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				var err error
				for i := 0; ctx.Err() == nil && err == nil; i++ {
					v := makeBlob(t, uint64(i%200), 1+(i%200)*601%50_000)
					err = errors.Join(b.store.Delete(ctx, v.Hash()), b.store.Put(ctx, v, blob.KindContent))
				}
				ended <- err
			}()
			served, err := b.client.Find(t.Context(), b.dir)
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				r, err := check.Online(t.Context(), image, b.dir, served, check.Options{Hashes: true})
				if err != nil {
					t.Fatal(err)
				}
				if !r.Clean() {
					t.Fatal(r)
				}
			}
			cancel()
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}
