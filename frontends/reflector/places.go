package reflector

import (
	"net"
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

// addressOf is what connections are counted by: the address, and of IPv6 its first 64 bits, since a customer gets that
// many. What has no address counts as one.
func addressOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	if a.Is6() {
		if prefix, err := a.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return a
}
