package enginetest

import (
	"maps"
	"sync"
)

// State is what a model knows about one blob.
type State uint8

// States. The order is not a scale.
const (
	Absent  State = iota // never put, or durably deleted: must be missing
	Maybe                // a call is under way, or was acknowledged without a promise: may be there
	Durable              // must be there
)

// String is the state's name in messages and images.
func (s State) String() string { return [...]string{"absent", "maybe", "durable"}[s] }

// Model is what was promised so far. It is safe for concurrent use: a power cut takes its copy from whatever goroutine
// made the fatal call.
type Model struct {
	mu     sync.Mutex
	states map[int]State // by blob number; missing means Absent
	acked  map[int]bool  // put and acknowledged, not durable yet
	loose  bool          // whatever is there may be evicted
	n      int           // changes so far
}

func newModel() *Model {
	return &Model{states: map[int]State{}, acked: map[int]bool{}}
}

func (m *Model) set(i int, s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	m.states[i] = s
	delete(m.acked, i)
}

// begin notes that a call on the blob is under way.
func (m *Model) begin(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	m.states[i] = Maybe
	delete(m.acked, i)
}

// ack notes a Put that returned.
func (m *Model) ack(i int, durable bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	m.acked[i] = true
	if durable && !m.loose {
		m.states[i] = Durable
	}
}

// state is what is known of one blob, and whether its Put returned without a promise.
func (m *Model) state(i int) (s State, acked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[i], m.acked[i]
}

// pending is the blobs that a flush which starts now makes durable.
func (m *Model) pending() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []int
	for i := range m.acked {
		out = append(out, i)
	}
	return out
}

// forget notes that nothing more is promised of blobs.
func (m *Model) forget(blobs []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range blobs {
		delete(m.acked, i)
	}
}

// flushed notes that a flush ended which had begun when `blobs` were pending.
func (m *Model) flushed(blobs []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	for _, i := range blobs {
		if m.acked[i] && !m.loose {
			m.states[i] = Durable
		}
	}
}

// loosen takes every promise back that an eviction may break, and says whether there are more evictions to come.
func (m *Model) loosen(more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	m.loose = more
	clear(m.acked)
	for i, s := range m.states {
		if s == Durable {
			m.states[i] = Maybe
		}
	}
}

// changes is how often the model has changed.
func (m *Model) changes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

// snapshot is a copy of the states.
func (m *Model) snapshot() map[int]State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.states)
}
