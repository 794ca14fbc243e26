package engine

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
)

// hotSlots is how many records the table of hot records remembers: about 8 MiB when it is full.
const hotSlots = 1 << 16

// hotTable remembers where records were read, so that the next hit need not ask the index; for small blobs that is most
// of what a hit costs. An entry is a hint that may be out of date at any time. That is safe, because slots are never used
// twice: what died cannot be pinned, and whoever fails to pin asks the index.
type hotTable struct {
	slots [hotSlots]atomic.Pointer[hotEntry]
}

type hotEntry struct {
	hash  blob.Hash
	entry index.Entry
}

// slot is where a blob's entry would be. Names are hashes: any bits of theirs will do.
func (t *hotTable) slot(h blob.Hash) *atomic.Pointer[hotEntry] {
	return &t.slots[binary.LittleEndian.Uint64(h[:])%hotSlots]
}

func (t *hotTable) get(h blob.Hash) (index.Entry, bool) {
	if e := t.slot(h).Load(); e != nil && e.hash == h {
		return e.entry, true
	}
	return index.Entry{}, false
}

func (t *hotTable) put(h blob.Hash, ent index.Entry) {
	t.slot(h).Store(&hotEntry{h, ent})
}

// drop forgets a blob.
func (t *hotTable) drop(h blob.Hash) {
	p := t.slot(h)
	if e := p.Load(); e != nil && e.hash == h {
		p.CompareAndSwap(e, nil)
	}
}
