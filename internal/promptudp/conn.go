// Package promptudp sends UDP packets without a word to Go's scheduler, for servers that send many.
//
// The scheduler watches each system call that it is told of. From one that lasts 20 µs it takes the processor's place away,
// and wakes a thread for it; and it looks every 20 µs as long as it finds such calls. A batch of packets
// (UDP_SEGMENT) is such a call, although all it does is to compute: it copies, and waits for nobody when it is asked not to.
//
// What holds:
//   - A packet leaves by one system call that does not wait for room (MSG_DONTWAIT), or as net.UDPConn sends it. Whatever keeps
//     it from the first, a full buffer of the socket as well as an error, is left to the second, which waits or says what is wrong.
//   - As long as the first lasts, the goroutine keeps its processor, as one that computes does, and a collection waits for it. A
//     kernel without free memory may make that longer.
//   - A write deadline counts for what has to wait, and for nothing else.
//
// It receives as net.UDPConn does, which waits for most packets anyhow.
package promptudp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a socket that is not connected. All but WriteMsgUDP is as in net.UDPConn, and is for many goroutines at once.
type Conn struct {
	*net.UDPConn
	raw   syscall.RawConn
	sends sync.Pool // of *send
}

// New sends on c, which it takes over; that is not to be connected. It fails when c is closed.
func New(c *net.UDPConn) (*Conn, error) {
	if c.RemoteAddr() != nil {
		return nil, errors.New("promptudp: the socket is connected")
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(uintptr) {})
	}
	if err != nil {
		return nil, fmt.Errorf("promptudp: %w", err)
	}
	return &Conn{UDPConn: c, raw: raw, sends: sync.Pool{New: newSend}}, nil
}

// WriteMsgUDP sends b, and oob as its control messages. Errors are those of net.UDPConn.
func (c *Conn) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if c.sendNow(b, oob, to) {
		return len(b), len(oob), nil
	}
	return c.UDPConn.WriteMsgUDP(b, oob, to)
}

// sendNow says whether it has sent it all.
func (c *Conn) sendNow(b, oob []byte, to *net.UDPAddr) bool {
	s := c.sends.Get().(*send) //nolint:errcheck,forcetypeassert // newSend makes all of them
	defer c.sends.Put(s)
	defer s.clear()
	if !s.address(to) {
		return false
	}
	s.set(b, oob)
	return c.raw.Control(s.call) == nil && s.sent
}

// send is one system call. What the kernel reads stands in it, and so on the heap, where nothing moves.
type send struct {
	msg  unix.Msghdr
	iov  unix.Iovec
	to4  unix.RawSockaddrInet4
	to6  unix.RawSockaddrInet6
	sent bool
	call func(fd uintptr) // does it; made once, for all that this value is used for
}

func newSend() any {
	s := &send{}
	s.call = func(fd uintptr) {
		_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&s.msg)), unix.MSG_DONTWAIT)
		s.sent = errno == 0
	}
	return s
}

// set points to what is sent.
func (s *send) set(b, oob []byte) {
	s.iov.Base = unsafe.SliceData(b)
	s.iov.SetLen(len(b))
	s.msg.Iov = &s.iov
	s.msg.SetIovlen(1)
	if len(oob) > 0 {
		s.msg.Control = unsafe.SliceData(oob)
		s.msg.SetControllen(len(oob))
	}
}

// address says where to: an address of another family than the socket's is left to the kernel, which takes IPv4 on a socket
// for both and refuses the rest. It has none for what is no address, and for one with a zone, whose number net knows.
func (s *send) address(to *net.UDPAddr) bool {
	if to == nil || to.Zone != "" || to.Port < 0 || to.Port > math.MaxUint16 {
		return false
	}
	port := binary.NativeEndian.Uint16([]byte{byte(to.Port >> 8), byte(to.Port)}) // as the network has it
	if ip := to.IP.To4(); ip != nil {
		s.to4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: [4]byte(ip)}
		s.msg.Name, s.msg.Namelen = (*byte)(unsafe.Pointer(&s.to4)), unix.SizeofSockaddrInet4
		return true
	}
	if ip := to.IP.To16(); ip != nil {
		s.to6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: [16]byte(ip)}
		s.msg.Name, s.msg.Namelen = (*byte)(unsafe.Pointer(&s.to6)), unix.SizeofSockaddrInet6
		return true
	}
	return false
}

// clear keeps nothing of what was sent: not alive, and not for the next.
func (s *send) clear() { s.msg, s.iov, s.sent = unix.Msghdr{}, unix.Iovec{}, false }
