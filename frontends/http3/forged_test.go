package http3d_test

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/OdyseeTeam/prism/blob"
)

// Codes of RFC 9000, section 20.1.
const (
	internalError      = 0x1
	frameEncodingError = 0x7
	idLimitError       = 0x9
	protocolViolation  = 0xa
)

// ack is a frame that acknowledges a packet and the more below it.
func ack(largest, more uint64) []byte { return varints(2, largest, 0, 0, more) }

// newID is a NEW_CONNECTION_ID frame.
func newID(seq, retire uint64, id uint32) []byte {
	b := append(varints(0x18, seq, retire), 4, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
	return append(b, make([]byte, 16)...)
}

// BAD-INPUTS 33, in a client's first packet: the connection ends at once, before anything is kept for it.
func TestAckInFirstPacket(t *testing.T) {
	s := start(t, options(newShelf()))
	c, err := net.Dial("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, largest := range []uint64{0, 1, 1000, 1 << 30, quicvarint.Max} {
		destination := fmt.Appendf(nil, "%-12x", largest%(1<<32))
		ours, theirs := initialKeys(t, destination)
		if _, err := c.Write(initial(ours, destination, []byte("test"), ack(largest, 0))); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		buf := make([]byte, 1500)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("an ACK of packet %d: %v", largest, err)
		}
		frames, err := openInitial(theirs, buf[:n])
		if code, ok := closed(frames); err != nil || !ok || code != protocolViolation {
			t.Errorf("an ACK of packet %d: closed %t with %#x, want %#x: %v", largest, ok, code, protocolViolation, err)
		}
	}
	until(t, "the connections to be forgotten", func() bool { return s.Stats().Handshakes == 0 })
	s.alive()
}

// BAD-INPUTS 29 and 33, on a connection that is open: frames that break the rules end it, with the code that says which,
// and nobody else's.
func TestForgedFrames(t *testing.T) {
	s := start(t, options(newShelf()))
	f := func(name string, want uint64, frames ...[]byte) {
		t.Helper()
		c := steal(s, nil)
		c.send(slices.Concat(frames...))
		if got := c.ends(); got != want {
			t.Errorf("%s: closed with %#x, want %#x", name, got, want)
		}
	}
	f("an ACK of a packet to come", protocolViolation, ack(1<<30, 0))
	f("an ACK of the last packet that can be", protocolViolation, ack(quicvarint.Max, 0))
	f("an ACK of all packets that can be", protocolViolation, ack(quicvarint.Max, quicvarint.Max))
	f("an ACK of packets below zero", frameEncodingError, ack(0, 1))
	f("an ACK of more ranges than follow", frameEncodingError, varints(2, 0, 0, 1<<40, 0, 0))
	f("too many ids", idLimitError, newID(20, 0, 1), newID(21, 0, 2), newID(22, 0, 3), newID(23, 0, 4), newID(24, 0, 5))
	f("an id that retires itself", frameEncodingError, newID(20, 21, 1))
	f("two ids of one number", internalError, newID(20, 0, 1), newID(20, 0, 2))
	f("an id without bytes", frameEncodingError, varints(0x18, 20, 0), make([]byte, 17))
	until(t, "the connections to be forgotten", func() bool { return s.Stats().Connections == 0 })
	s.alive()
}

// BAD-INPUTS 33: whoever acknowledges what it did not get, to be sent more and faster, is found out: now and then the
// server leaves a number out.
func TestAckOfSkippedPackets(t *testing.T) {
	here := content(1, blob.MaxSize)
	s := start(t, options(newShelf(here)))
	c := steal(s, &quic.Config{InitialStreamReceiveWindow: 4 << 20, InitialConnectionReceiveWindow: 4 << 20})
	ask := request("/get/" + blob.Sum(here).String())
	c.send(append(varints(0x0b, 4, uint64(len(ask))), ask...)) // the second stream, whole
	for largest := uint64(0); ; {
		number, frames := c.receive()
		if code, ok := closed(frames); ok {
			if code != protocolViolation {
				t.Errorf("closed with %#x, want %#x", code, protocolViolation)
			}
			break
		}
		largest = max(largest, number)
		c.send(ack(largest, largest))
	}
	until(t, "the answer to be given up", func() bool {
		st := s.Stats()
		return st.Connections == 0 && st.Sending == 0 && st.InFlight == 0
	})
	s.alive()
}

// BAD-INPUTS 29: a client that names new connection ids without end and acknowledges nothing, so that what must be
// answered to each piles up. The pile has an end, and then the connection has one.
func TestConnectionIDFlood(t *testing.T) {
	for name, next := range map[string]func(n uint64) []byte{
		"each retires the one before": func(n uint64) []byte { return newID(n, n, uint32(n)) },
		"each retired long ago": func(n uint64) []byte {
			if n == 1000 {
				return newID(n, n, uint32(n))
			}
			return newID(n%1000, 0, uint32(n%1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, options(newShelf()))
			c := steal(s, nil)
			before := heap()
			frames, code, open := 0, uint64(0), true
			for open && frames < 400_000 {
				var b []byte
				for range 30 {
					b = append(b, next(uint64(1000+frames))...)
					frames++
				}
				c.send(b)
				for open && len(c.tap.from) > 0 {
					_, answer := c.receive()
					var ended bool
					code, ended = closed(answer)
					open = !ended
				}
			}
			if open || code != internalError {
				t.Errorf("after %d frames: open %t, closed with %#x", frames, open, code)
			}
			until(t, "the connection to be forgotten", func() bool { return s.Stats().Connections == 0 })
			if grown := heap() - before; grown > 4<<20 {
				t.Errorf("%d bytes more memory", grown)
			}
			s.alive()
		})
	}
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
