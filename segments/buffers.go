package segments

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/bufpool"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// SmallMax is the largest payload that a handle holds in an ordinary buffer from the start, in bytes. It is also the
// size of the pieces in which larger payloads are read when there is no larger buffer to be had.
const SmallMax = blob.MinSinkWrite

// Larger pieces mean fewer writes for a writer that is no kernel sink, and over HTTP/3 fewer packets that are cut short at
// the end of one. There is a bounded number of them, and a reader that a blob.PromptWriter finds slow gives its own back.
const (
	pieceSize = 512 << 10
	maxPieces = 32
)

// Buffers are the pools that the handles of all segments of a mount share. The memory of the larger ones is not the
// collector's, and goes once neither the mount nor a handle of it is left: each handle keeps its Buffers.
type Buffers struct {
	small *bufpool.Pool   // SmallMax bytes
	piece *bufpool.Budget // pieceSize bytes
	large *bufpool.Budget // blob.MaxSize bytes, for payloads that are not in the page cache
	cold  atomic.Uint32   // cold reads so far
	mem   *hugeMemory     // piece and large are cut from it
}

// admitOneIn says how many cold reads there are to one that leaves its payload in the page cache. What is read often
// gets in soon; what is read once mostly stays out, displaces nothing, and costs half the processor time.
const admitOneIn = 4

// admit says whether the next cold read goes through the page cache.
func (b *Buffers) admit() bool { return b.cold.Add(1)%admitOneIn == 0 }

// NewBuffers makes pools of which at most `large` buffers of blob.MaxSize bytes are out at once.
func NewBuffers(large int) *Buffers {
	mem := new(hugeMemory)
	b := &Buffers{
		small: bufpool.New(SmallMax, 128),
		piece: bufpool.NewBudgetIn(pieceSize, maxPieces, mem.alloc),
		large: bufpool.NewBudgetIn(blob.MaxSize, large, mem.alloc),
		mem:   mem,
	}
	runtime.AddCleanup(b, (*hugeMemory).free, mem)
	return b
}

// Out is the number of large buffers that are out.
func (b *Buffers) Out() int { return b.large.Out() }

// Pieces is the number of large pieces that are out.
func (b *Buffers) Pieces() int { return b.piece.Out() }

// hugeMemory cuts buffers off huge pages, as many as are wanted. To a device one of them is one range, where a buffer of
// 4 KiB pages is hundreds and takes several requests: cold reads are half as fast again into these (docs/design/0008).
type hugeMemory struct {
	mu    sync.Mutex
	rest  []byte   // what is left of a page
	pages []func() // each gives one back
}

// alloc makes a buffer of n bytes, at most blob.MaxSize.
func (m *hugeMemory) alloc(n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.rest
	if len(from) < n {
		page, free := diskfs.AlignedHuge(blob.MaxSize)
		m.pages = append(m.pages, free)
		from = page
	}
	b, rest := from[:n:n], from[n:]
	if len(m.rest) >= n || len(rest) > len(m.rest) {
		m.rest = rest
	}
	return b
}

func (m *hugeMemory) free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, free := range m.pages {
		free()
	}
	m.rest, m.pages = nil, nil
}
