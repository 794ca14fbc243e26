package reflector

import (
	"sync"

	"github.com/OdyseeTeam/prism/blob"
)

// turns knows which blobs are being sent, so that one at a time is sent of each.
type turns struct {
	mu   sync.Mutex
	held map[blob.Hash]chan struct{}
}

func newTurns() *turns { return &turns{held: map[blob.Hash]chan struct{}{}} }

// take takes the turn of a blob, or gives a channel that is closed when the one who has it is done.
func (t *turns) take(h blob.Hash) (over <-chan struct{}, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.held[h]; ok {
		return c, false
	}
	t.held[h] = make(chan struct{})
	return nil, true
}

// end gives a turn back.
func (t *turns) end(h blob.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.held[h])
	delete(t.held, h)
}
