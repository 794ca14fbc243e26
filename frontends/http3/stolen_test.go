package http3d_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// tap is the socket of a client, from which a test can take a connection over.
type tap struct {
	net.PacketConn
	from chan []byte // what arrives once the client is cut off

	mu          sync.Mutex
	cut         bool
	destination []byte // of the server's connection, as the client names it last
	theirs      int    // bytes of the server's connection ids
	ours        int    // and of the client's
}

// ReadFrom is the client's: nothing arrives once it is cut off.
func (p *tap) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, a, err := p.PacketConn.ReadFrom(b)
		if err != nil {
			return n, a, err
		}
		p.mu.Lock()
		if n > 7 && b[0]&0x80 != 0 {
			p.ours = int(b[5])
			p.theirs = int(b[6+p.ours])
		}
		cut := p.cut
		p.mu.Unlock()
		if !cut {
			return n, a, nil
		}
		select {
		case p.from <- bytes.Clone(b[:n]):
		default: // lost
		}
	}
}

// WriteTo is the client's: nothing leaves once it is cut off.
func (p *tap) WriteTo(b []byte, a net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return len(b), nil
	}
	if len(b) > p.theirs && b[0]&0x80 == 0 {
		p.destination = append(p.destination[:0], b[1:1+p.theirs]...)
	}
	return p.PacketConn.WriteTo(b, a)
}

// takeOver cuts the client off, once it has shown what it calls the server's connection.
func (p *tap) takeOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = len(p.destination) > 0
	return p.cut
}

// stolen is a connection that a client made, and on which the test writes the packets from there on.
type stolen struct {
	t       testing.TB
	tap     *tap
	to      net.Addr
	out, in *keys
	phase   byte // of the keys
	number  uint32
}

// steal makes a connection to a server and takes it over. It has asked once, so that its handshake is over and confirmed.
func steal(s *server, conf *quic.Config) *stolen {
	t := s.t
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{PacketConn: pc, from: make(chan []byte, 1000)}
	tr := &quic.Transport{Conn: p}
	t.Cleanup(func() { _, _ = tr.Close(), pc.Close() })
	var log bytes.Buffer
	secure := clientTLS()
	secure.KeyLogWriter = &log
	conn, err := tr.Dial(t.Context(), to, secure, conf)
	if err != nil {
		t.Fatal(err)
	}
	str, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = str.Write(request("/healthz"))
	_ = str.Close()
	_ = str.SetDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(str); err != nil || len(b) == 0 {
		t.Fatalf("answered %q: %v", b, err)
	}
	if c := conn.ConnectionState().TLS.CipherSuite; c != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("the suite is %s, which this test cannot speak: run it where the processor has AES", tls.CipherSuiteName(c))
	}
	until(t, "a packet that shows where to send others", p.takeOver)
	return &stolen{
		t: t, tap: p, to: to, number: 10_000,
		out: makeKeys(t, secretOf(t, log.String(), "CLIENT_TRAFFIC_SECRET_0")),
		in:  makeKeys(t, secretOf(t, log.String(), "SERVER_TRAFFIC_SECRET_0")),
	}
}

// secretOf finds a secret in a key log.
func secretOf(t testing.TB, log, name string) []byte {
	t.Helper()
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			if b, err := hex.DecodeString(f[2]); err == nil {
				return b
			}
		}
	}
	t.Fatalf("no %s in the key log", name)
	return nil
}

// send sends a packet of frames.
func (c *stolen) send(frames []byte) {
	c.t.Helper()
	frames = append(bytes.Clone(frames), 0, 0, 0, 0) // for the sample that hides the header
	c.number++
	header := append([]byte{0x43 | c.phase<<2}, c.tap.destination...)
	if _, err := c.tap.PacketConn.WriteTo(c.out.seal(header, c.number, frames), c.to); err != nil {
		c.t.Fatal(err)
	}
}

// receive gives the number and the frames of the server's next packet. Without one for so long the test fails.
func (c *stolen) receive() (number uint64, frames []byte) {
	c.t.Helper()
	end := time.After(20 * time.Second)
	for {
		var p []byte
		select {
		case p = <-c.tap.from:
		case <-end:
			c.t.Fatal("the server sends nothing")
		}
		if len(p) == 0 || p[0]&0x80 != 0 {
			continue
		}
		number, at, err := c.in.show(p, 1+c.tap.ours)
		if err != nil {
			continue
		}
		phase, in := p[0]>>2&1, c.in
		if phase != c.phase {
			in = in.next()
		}
		if frames, err = in.open(p, number, at); err != nil {
			continue
		}
		if phase != c.phase { // the server has updated its keys, so we do
			c.phase, c.in, c.out = phase, in, c.out.next()
		}
		return number, frames
	}
}

// ends waits for the server to close the connection and gives the code.
func (c *stolen) ends() uint64 {
	c.t.Helper()
	for range 10_000 {
		_, frames := c.receive()
		if code, ok := closed(frames); ok {
			return code
		}
	}
	c.t.Fatal("the server does not close the connection")
	return 0
}

var _ net.PacketConn = (*tap)(nil)
