package reflector_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/all"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// catalogued is a disk with the embedded catalogue, as the writer of a proxied-s3.
func catalogued(t *testing.T, sync string) stores.Store {
	t.Helper()
	leaktest.Check(t)
	leaktest.FDs(t)
	r := &yamlnode.Report{}
	doc := fmt.Sprintf("{proxied-s3: {writer: {db_backed: {path: %[1]s/c.db, sync: %[2]s, store: {disk: {mount_point: %[1]s/m}}}}}}",
		t.TempDir(), sync)
	checktest.AfterConfigured(t, doc)
	tree := compose.Check(all.Kinds(), yamlnode.Parse("f.yaml", []byte(doc), os.LookupEnv, r), r)
	if tree == nil {
		t.Fatal(r.Err())
	}
	if err := tree.Open(t.Context(), compose.Env{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	return tree.Store()
}

// TestCatalogue uploads a stream to a store with a catalogue, in both modes: it says what is lacking, and refuses what is
// blocked.
func TestCatalogue(t *testing.T) {
	for _, sync := range []string{"write_through", "write_behind"} {
		t.Run(sync, func(t *testing.T) {
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
			if err := blocker.Block(t.Context(), []blob.Hash{blob.Sum(fresh), blob.Sum(other), blob.Sum(sd)}); err != nil {
				t.Fatal(err)
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
