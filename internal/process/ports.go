package process

import (
	"fmt"
	"net"
)

// FreePorts replaces each 0 by a TCP port of this machine that nothing listens on. Somebody may take it before the one
// who asked does; then that one fails to start, and says so.
func FreePorts(ports ...int) ([]int, error) {
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for i, p := range ports {
		if p != 0 {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("process: find a free port: %w", err)
		}
		open = append(open, l)
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
