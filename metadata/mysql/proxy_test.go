package mysql_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// fault is what a proxy does about one packet of the client.
type fault int

const (
	cutBefore fault = iota // the connection ends, and the server never sees the packet
	cutAfter               // it ends once the server has answered, and the client never sees the answer
	stall                  // nothing is passed on any more, and the connection stays
)

// proxy stands between a client and the server. It knows where a packet of the client ends, and meets one of them with a
// fault; before and after that it passes on everything.
type proxy struct {
	t      *testing.T
	server string
	listen net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	seen  int // packets of the client so far
	at    int // the packet to meet, counted from 1; 0 is none
	fault fault
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, server: server, listen: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.closeAll()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) port() int { return p.listen.Addr().(*net.TCPAddr).Port }

// meet arms the proxy anew.
func (p *proxy) meet(at int, f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.at, p.fault = 0, at, f
}

// met says whether the packet came.
func (p *proxy) met() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen >= p.at
}

func (p *proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.keep(client)
		p.keep(server)
		x := &crossing{proxy: p, client: client, server: server}
		p.wg.Go(x.requests)
		p.wg.Go(x.answers)
	}
}

// crossing is one connection.
type crossing struct {
	*proxy
	client, server net.Conn

	mu     sync.Mutex
	armed  bool // the next answer ends it
	silent bool // nothing is passed on
}

func (x *crossing) end() {
	_ = x.client.Close()
	_ = x.server.Close()
}

// requests passes packets of the client on, and meets the one that is to be met.
func (x *crossing) requests() {
	defer x.end()
	for {
		head := make([]byte, 4) // length in three bytes, a number
		if _, err := io.ReadFull(x.client, head); err != nil {
			return
		}
		length := int(binary.LittleEndian.Uint32(head) & 0xffffff)
		packet := make([]byte, 4+length)
		copy(packet, head)
		if _, err := io.ReadFull(x.client, packet[4:]); err != nil {
			return
		}
		x.proxy.mu.Lock()
		x.seen++
		now, f := x.seen == x.at, x.fault
		x.proxy.mu.Unlock()
		if now && f == cutBefore {
			return
		}
		x.mu.Lock()
		x.armed = x.armed || now && f == cutAfter
		x.silent = x.silent || now && f == stall
		silent := x.silent
		x.mu.Unlock()
		if silent {
			continue
		}
		if _, err := x.server.Write(packet); err != nil {
			return
		}
	}
}

// answers passes what the server says on.
func (x *crossing) answers() {
	defer x.end()
	buf := make([]byte, 64<<10)
	for {
		n, err := x.server.Read(buf)
		if err != nil {
			return
		}
		x.mu.Lock()
		armed, silent := x.armed, x.silent
		x.mu.Unlock()
		if armed {
			return
		}
		if silent {
			continue
		}
		if _, err := x.client.Write(buf[:n]); err != nil {
			return
		}
	}
}
