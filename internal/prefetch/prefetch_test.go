package prefetch_test

import (
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/internal/prefetch"
)

// TestWord: memory is as it was, whoever writes to it meanwhile. What it gains is for benchmarks.
func TestWord(t *testing.T) {
	words := make([]atomic.Uint64, 1<<16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range words {
			words[i].Store(uint64(i))
		}
	}()
	for i := range words {
		prefetch.Word(&words[i])
	}
	<-done
	for i := range words {
		prefetch.Word(&words[i])
		if got := words[i].Load(); got != uint64(i) {
			t.Fatalf("word %d is %d", i, got)
		}
	}
}
