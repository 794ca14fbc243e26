package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// TestReflector takes blobs in, serves them, and has them after a restart and after a kill. Where receipts promise more
// than the disk does, it says so at the start.
func TestReflector(t *testing.T) {
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			store := fmt.Sprintf("  disk: {name: d, mount_point: %s, max_size: 256MB, segment_size: 16MB, sync: %s}\n", t.TempDir(), sync)
			n := startNode(t, "reflector", store)
			blobs := uploadBlobs(t, n, rand.NewChaCha8([32]byte{8}), 1, 5000, blob.MaxSize)
			for range 3 {
				for with, client := range n.clients(t) {
					for _, v := range blobs {
						if _, err := wantBlob(t.Context(), client, v); err != nil {
							t.Errorf("%s, %d bytes: %v", with, v.Size(), err)
						}
					}
				}
				log, err := os.ReadFile(n.Log())
				if err != nil {
					t.Fatal(err)
				}
				if warned := strings.Contains(string(log), "RECEIPTS ARE NOT SAFE"); warned != (sync != "always") {
					t.Errorf("it warns of unsafe receipts: %v", warned)
				}
				if !strings.Contains(string(log), "uploads go to a disk") {
					t.Error("it does not warn that a disk evicts")
				}
				if sync == "always" {
					n.Kill()
				} else if err := n.Stop(20 * time.Second); err != nil {
					t.Fatal(err)
				}
				n = startNode(t, "reflector", store)
			}
		})
	}
}
