package engine

import (
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// TestLateCallsAreForgotten: what is over leaves nothing behind, also when nobody asks for the blob again.
func TestLateCallsAreForgotten(t *testing.T) {
	var l late
	h := blob.Hash{1}
	first, second := make(chan struct{}), make(chan struct{})
	l.add(h, first)
	l.add(h, second)
	close(first)
	if l.next(h) != (<-chan struct{})(second) {
		t.Error("what is still under way is not waited for")
	}
	close(second)
	for deadline := time.Now().Add(20 * time.Second); l.n.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls are remembered", l.n.Load())
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.m) != 0 || l.next(blob.Hash{2}) != nil {
		t.Errorf("%d blobs are remembered", len(l.m))
	}
}
