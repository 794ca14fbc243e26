package gcache

import (
	"container/list"
	"fmt"

	"github.com/hashicorp/golang-lru/arc/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// Strategy says which blob leaves when there is no room. The numbers are those of configurations.
type Strategy int

// The strategies.
const (
	LFU    Strategy = 0 // the least often used; among equals the one unused for longest
	ARC    Strategy = 1 // adaptive between recency and frequency
	LRU    Strategy = 2 // the one unused for longest
	Simple Strategy = 3 // the one that came first, used or not
)

// policy is a bounded map. Store.mu guards it.
type policy interface {
	get(h blob.Hash) *refcount.Body    // nil if absent; counts as a use
	has(h blob.Hash) bool              // counts as nothing
	add(h blob.Hash, b *refcount.Body) // of an absent h; evicts if there is no room
	remove(h blob.Hash) bool           // whether it was there
	len() int
}

func newPolicy(s Strategy, size int) (policy, error) {
	switch s {
	case LFU:
		return newLFU(size), nil
	case ARC:
		c, err := arc.NewARC[blob.Hash, *refcount.Body](size)
		return arcPolicy{c}, err
	case LRU:
		c, err := simplelru.NewLRU[blob.Hash, *refcount.Body](size, nil)
		return lruPolicy{c}, err
	case Simple:
		return &fifo{size: size, order: list.New(), at: map[blob.Hash]*list.Element{}}, nil
	}
	return nil, fmt.Errorf("gcache: strategy %d is unknown, want 0 (LFU), 1 (ARC), 2 (LRU) or 3 (simple)", int(s))
}

// lruPolicy adapts the library's LRU.
type lruPolicy struct {
	c *simplelru.LRU[blob.Hash, *refcount.Body]
}

func (p lruPolicy) get(h blob.Hash) *refcount.Body {
	b, _ := p.c.Get(h)
	return b
}
func (p lruPolicy) has(h blob.Hash) bool              { return p.c.Contains(h) }
func (p lruPolicy) add(h blob.Hash, b *refcount.Body) { p.c.Add(h, b) }
func (p lruPolicy) remove(h blob.Hash) bool           { return p.c.Remove(h) }
func (p lruPolicy) len() int                          { return p.c.Len() }

// arcPolicy adapts the library's ARC.
type arcPolicy struct {
	c *arc.ARCCache[blob.Hash, *refcount.Body]
}

func (p arcPolicy) get(h blob.Hash) *refcount.Body {
	b, _ := p.c.Get(h)
	return b
}
func (p arcPolicy) has(h blob.Hash) bool              { return p.c.Contains(h) }
func (p arcPolicy) add(h blob.Hash, b *refcount.Body) { p.c.Add(h, b) }
func (p arcPolicy) len() int                          { return p.c.Len() }
func (p arcPolicy) remove(h blob.Hash) bool {
	had := p.c.Contains(h)
	p.c.Remove(h)
	return had
}

// entry is one blob in memory.
type entry struct {
	hash blob.Hash
	body *refcount.Body
	uses *list.Element // lfu: the bucket that holds it
}

// fifo evicts in the order of arrival.
type fifo struct {
	size  int
	order *list.List // of *entry, the oldest in front
	at    map[blob.Hash]*list.Element
}

func (p *fifo) get(h blob.Hash) *refcount.Body {
	if e := p.at[h]; e != nil {
		return e.Value.(*entry).body
	}
	return nil
}

func (p *fifo) has(h blob.Hash) bool { return p.at[h] != nil }

func (p *fifo) add(h blob.Hash, b *refcount.Body) {
	if len(p.at) >= p.size {
		p.remove(p.order.Front().Value.(*entry).hash)
	}
	p.at[h] = p.order.PushBack(&entry{hash: h, body: b})
}

func (p *fifo) remove(h blob.Hash) bool {
	e := p.at[h]
	if e == nil {
		return false
	}
	p.order.Remove(e)
	delete(p.at, h)
	return true
}

func (p *fifo) len() int { return len(p.at) }
