package reflector_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/proxieds3"
)

// catalogued is a mount with a catalogue, as the writer of a proxied-s3 that reads from the mount.
func catalogued(t *testing.T, sync dbbacked.Sync) stores.Store {
	t.Helper()
	shelf := newShelf(t)
	cat, err := bolt.Open(bolt.Options{Path: filepath.Join(t.TempDir(), "c.db"), Tracking: metadata.TrackBlobs})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := dbbacked.Open(dbbacked.Options{
		Store: shelf.Store, Catalogue: cat, Sync: sync, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxieds3.New(proxieds3.Options{Writer: writer, Reader: shelf.Store})
}

// TestCatalogue uploads a stream to a store with a catalogue, in both modes: it says what is lacking, and refuses what is
// blocked.
func TestCatalogue(t *testing.T) {
	for _, sync := range []dbbacked.Sync{dbbacked.WriteThrough, dbbacked.WriteBehind} {
		t.Run(string(sync), func(t *testing.T) {
			store := catalogued(t, sync)
			srv := start(t, reflector.Options{Store: store})
			c := srv.greet()
			a, b := content(1, 3000), content(2, 4000)
			sd := descriptor(a, b)
			c.say(offerSD(sd))
			c.hear(`{"send_sd_blob":true}`)
			c.say(string(sd))
			c.hear(`{"received_sd_blob":true}`)
			lacks := func(answer string, blobs ...[]byte) {
				t.Helper()
				for _, data := range blobs {
					c.say(offer(data))
					c.hear(`{"send_blob":true}`)
					c.say(string(data))
					c.hear(`{"received_blob":true}`)
				}
				c.say(offerSD(sd))
				c.hear(answer)
			}
			lacks(`{"send_sd_blob":false,"needed_blobs":` + hashes(a, b) + `}`)
			lacks(`{"send_sd_blob":false,"needed_blobs":`+hashes(b)+`}`, a)
			lacks(`{"send_sd_blob":false}`, b)

			blocker, ok := stores.As[stores.Blocker](store)
			if !ok {
				t.Fatal("nobody blocks")
			}
			fresh := content(3, 500)
			other := descriptor(fresh)
			for _, data := range [][]byte{fresh, other, sd} {
				if err := blocker.Block(t.Context(), blob.Sum(data)); err != nil {
					t.Fatal(err)
				}
			}
			c.say(offer(fresh))
			c.hear(`{"send_blob":false}`)
			c.say(offerSD(other))
			c.hear(`{"send_sd_blob":false}`)
			c.say(offerSD(sd))
			c.hear(`{"send_sd_blob":false}`)
			if has, err := store.Has(t.Context(), blob.Sum(sd)); !has || err != nil {
				t.Errorf("what is blocked is gone: %v, %v", has, err)
			}
		})
	}
}
