package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
)

// Ports that are looked for lie below those that Linux gives by itself to whoever connects, or listens on port 0.
const (
	firstPort = 10_000
	lastPort  = 32_767
)

// Ports are reserved ports of loopback.
type Ports struct {
	Numbers []int

	locks []net.Listener
}

// ReservePorts finds a port that nothing has, over TCP and over UDP of loopback, for each 0, and keeps each other number
// as it is. Until Close nobody else who reserves ports is given them, in this process or another one. A program that does
// not reserve may take one before whom it is for does; then that one fails to start, and says so.
func ReservePorts(numbers ...int) (*Ports, error) {
	p := &Ports{Numbers: slices.Clone(numbers)}
	for _, n := range numbers {
		if n == 0 {
			continue
		}
		if l, err := lock(n); err == nil { // else somebody else wants it too: that is for the one who asked to find out
			p.locks = append(p.locks, l)
		}
	}
	for i, n := range numbers {
		if n != 0 {
			continue
		}
		var err error
		if p.Numbers[i], err = p.find(); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// Close ends the reservation; whoever listens on the ports goes on. Of nil there is nothing to end.
func (p *Ports) Close() {
	if p == nil {
		return
	}
	for _, l := range p.locks {
		_ = l.Close()
	}
	p.locks = nil
}

func (p *Ports) find() (int, error) {
	const count = lastPort - firstPort + 1
	start := rand.IntN(count)
	var errs [2]error // the first and the last
	for i := range count {
		port := firstPort + (start+i)%count
		err := p.reserve(port)
		if err == nil {
			return port, nil
		}
		errs[min(i, 1)] = err
	}
	return 0, fmt.Errorf("process: find a free port among %d to %d: %w", firstPort, lastPort, errors.Join(errs[:]...))
}

// reserve reserves a port if it is free.
func (p *Ports) reserve(port int) error {
	l, err := lock(port)
	if err != nil {
		return err
	}
	if err := isFree(port); err != nil {
		_ = l.Close()
		return err
	}
	p.locks = append(p.locks, l)
	return nil
}

// lock is a unix socket of a name without a file: it is known where the port is, in the network of this process, and it
// ends with the process if not before.
func lock(port int) (net.Listener, error) {
	return net.Listen("unix", fmt.Sprintf("@prism-port-%d", port))
}

// isFree is an error unless a server can listen on a port.
func isFree(port int) error {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	return u.Close()
}
