package peer_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	wire "github.com/OdyseeTeam/prism/protocol/peer"
)

// origin is a server of the peer protocol on loopback. A test may bend what it answers.
type origin struct {
	addr string
	ln   net.Listener

	conns    atomic.Int64 // accepted so far
	requests atomic.Int64
	longest  atomic.Int64 // request, in bytes
	serving  sync.WaitGroup

	mu       sync.Mutex
	open     map[net.Conn]struct{}
	blobs    map[blob.Hash][]byte
	override answer
}

// answer answers one request; false closes the connection.
type answer func(c net.Conn, r wire.Request) bool

// newOrigin starts an empty origin. It ends with the test.
func newOrigin(t testing.TB) *origin {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0") // as old servers do
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{addr: ln.Addr().String(), ln: ln, open: map[net.Conn]struct{}{}, blobs: map[blob.Hash][]byte{}}
	o.serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.conns.Add(1)
			o.mu.Lock()
			o.open[c] = struct{}{}
			o.mu.Unlock()
			o.serving.Go(func() { o.serve(c) })
		}
	})
	t.Cleanup(o.stop)
	return o
}

// stop drops every connection and listens no more.
func (o *origin) stop() {
	o.ln.Close()
	o.dropAll()
	o.serving.Wait()
}

// dropAll closes every connection.
func (o *origin) dropAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.open {
		c.Close()
	}
}

func (o *origin) put(v blob.Verified) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.blobs[v.Hash()] = v.Bytes()
}

// answerWith lets f answer every request from now on; nil goes back to the usual answers.
func (o *origin) answerWith(f answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.override = f
}

func (o *origin) serve(c net.Conn) {
	defer func() {
		c.Close()
		o.mu.Lock()
		delete(o.open, c)
		o.mu.Unlock()
	}()
	var in wire.Messages
	for {
		message, err := in.Next()
		if err != nil {
			return
		}
		if message == nil {
			n, err := c.Read(in.Room())
			if err != nil {
				return
			}
			in.Add(n)
			continue
		}
		o.requests.Add(1)
		o.longest.Store(max(o.longest.Load(), int64(len(message))))
		r, err := wire.ParseRequest(message)
		if err != nil {
			return
		}
		o.mu.Lock()
		f := o.override
		o.mu.Unlock()
		if f == nil {
			f = o.usual
		}
		if !f(c, r) {
			return
		}
	}
}

// usual is what a server of the protocol answers.
func (o *origin) usual(c net.Conn, r wire.Request) bool {
	o.mu.Lock()
	var res wire.Response
	for _, h := range r.Wanted {
		if o.blobs[h] != nil {
			res.Available = append(res.Available, h)
		}
	}
	data := o.blobs[r.Blob]
	o.mu.Unlock()
	if r.HasBlob {
		res.Incoming = &wire.Incoming{Hash: r.Blob, Length: int64(len(data))}
		if data == nil {
			res.Incoming = &wire.Incoming{Error: wire.NotFound}
		}
	}
	_, err := c.Write(append(res.Append(nil), data...))
	return err == nil
}

// says answers every request with these bytes.
func says(text string) answer {
	return func(c net.Conn, _ wire.Request) bool {
		_, err := c.Write([]byte(text))
		return err == nil
	}
}

// gives promises a blob of a length and sends these bytes.
func gives(length int64, data []byte) answer {
	return func(c net.Conn, r wire.Request) bool {
		res := wire.Response{Incoming: &wire.Incoming{Hash: r.Blob, Length: length}}
		_, err := c.Write(append(res.Append(nil), data...))
		return err == nil
	}
}

// thenCloses closes the connection after an answer.
func thenCloses(f answer) answer {
	return func(c net.Conn, r wire.Request) bool {
		f(c, r)
		return false
	}
}
