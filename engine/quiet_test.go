package engine_test

import (
	"flag"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

var hitsFor = flag.Duration("hits-for", 2*time.Second, "how long TestHitsWriteNothing makes hits")

// TestHitsWriteNothing makes nothing but hits, with every timer of the engine running many times, and counts the calls
// that change anything on disk: none.
func TestHitsWriteNothing(t *testing.T) {
	fs := mountFS(t)
	o := small(fs)
	o.SyncInterval = time.Millisecond
	e, err := engine.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var all []blob.Verified
	for range 60 {
		all = append(all, randomBlob(t, 150_000)) // several segments
		mustPut(t, e, all[len(all)-1])
	}
	last := -1
	eventually(t, "the puts to settle", func() bool {
		if err := e.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := e.Stats()
		settled := fs.Ops() == last && st.Segments["active"] == 1 && st.Segments["sealing"] == 0
		last = fs.Ops()
		return settled
	})
	hits := 0
	for end := time.Now().Add(*hitsFor); time.Now().Before(end); hits++ {
		mustGet(t, e, all[hits%len(all)])
	}
	if n := fs.Ops() - last; n != 0 {
		t.Errorf("%d hits in %v made %d calls that change something on disk", hits, *hitsFor, n)
	}
	if hits < len(all) {
		t.Errorf("only %d hits", hits)
	}
}
