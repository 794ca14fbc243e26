package reflector

import (
	"net/netip"
	"sync"
)

// places bounds connections, in all and from each address.
type places struct {
	most, mostEach int

	mu    sync.Mutex
	taken int
	from  map[netip.Addr]int
}

func newPlaces(most, mostEach int) *places {
	return &places{most: most, mostEach: mostEach, from: map[netip.Addr]int{}}
}

// take takes a place if there is one.
func (p *places) take(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.most || p.from[a] >= p.mostEach {
		return false
	}
	p.taken++
	p.from[a]++
	return true
}

// give gives a place back.
func (p *places) give(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.from[a]--; p.from[a] == 0 {
		delete(p.from, a)
	}
}

func (p *places) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
