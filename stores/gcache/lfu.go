package gcache

import (
	"container/list"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/refcount"
)

// lfu evicts the least often used blob, in constant time: blobs of one number of uses share a bucket, buckets are in
// the order of that number, and a use moves a blob to the next one.
type lfu struct {
	size    int
	buckets *list.List // of *bucket, the fewest uses in front
	at      map[blob.Hash]*list.Element
}

// bucket holds the blobs that were used equally often.
type bucket struct {
	uses    uint64
	members *list.List // of *entry, the one unused for longest in front
}

func newLFU(size int) *lfu {
	return &lfu{size: size, buckets: list.New(), at: map[blob.Hash]*list.Element{}}
}

func (p *lfu) has(h blob.Hash) bool { return p.at[h] != nil }

func (p *lfu) len() int { return len(p.at) }

func (p *lfu) get(h blob.Hash) *refcount.Body {
	e := p.at[h]
	if e == nil {
		return nil
	}
	en := e.Value.(*entry)
	from := en.uses
	to := p.bucketAfter(from, from.Value.(*bucket).uses+1)
	p.take(e)
	p.put(en, to)
	return en.body
}

func (p *lfu) add(h blob.Hash, b *refcount.Body) {
	if len(p.at) >= p.size {
		least := p.buckets.Front().Value.(*bucket)
		p.remove(least.members.Front().Value.(*entry).hash)
	}
	p.put(&entry{hash: h, body: b}, p.bucketAfter(nil, 1))
}

func (p *lfu) remove(h blob.Hash) bool {
	e := p.at[h]
	if e == nil {
		return false
	}
	p.take(e)
	delete(p.at, h)
	return true
}

// bucketAfter is the bucket for uses, which belongs right behind prev (nil: in front); it is made if it is not there.
func (p *lfu) bucketAfter(prev *list.Element, uses uint64) *list.Element {
	next := p.buckets.Front()
	if prev != nil {
		next = prev.Next()
	}
	switch {
	case next != nil && next.Value.(*bucket).uses == uses:
		return next
	case prev == nil:
		return p.buckets.PushFront(&bucket{uses: uses, members: list.New()})
	}
	return p.buckets.InsertAfter(&bucket{uses: uses, members: list.New()}, prev)
}

// take removes an entry from its bucket, and the bucket if nothing is left in it.
func (p *lfu) take(e *list.Element) {
	home := e.Value.(*entry).uses
	members := home.Value.(*bucket).members
	members.Remove(e)
	if members.Len() == 0 {
		p.buckets.Remove(home)
	}
}

func (p *lfu) put(en *entry, home *list.Element) {
	en.uses = home
	p.at[en.hash] = home.Value.(*bucket).members.PushBack(en)
}
