// Package promptudp sends UDP packets without a word to Go's scheduler, for servers that send many.
//
// The scheduler watches each system call that it is told of. From one that lasts 20 µs it takes the processor's place away,
// and wakes a thread for it; and it looks every 20 µs as long as it finds such calls. A batch of packets
// (UDP_SEGMENT) is such a call, although all it does is to compute: it copies, and never waits when it is asked not to.
//
// What holds:
//   - A packet leaves by one system call that does not wait (MSG_DONTWAIT), or as net.UDPConn sends it. Whatever keeps it from
//     the first, a full buffer of the socket as well as an error, is left to the second, which waits or says what is wrong.
//   - As long as the first lasts, the goroutine keeps its processor, as one that computes does, and a collection waits for it.
//   - A write deadline counts for what has to wait, and for nothing else.
//
// It receives as net.UDPConn does, which waits for most packets anyhow.
package promptudp

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a socket that is not connected. All but WriteMsgUDP is as in net.UDPConn, and is for many goroutines at once.
type Conn struct {
	*net.UDPConn
	raw   syscall.RawConn
	ip6   bool      // the socket is of IPv6, and takes IPv4 addresses that are mapped into it
	sends sync.Pool // of *send
}

// New sends on c, which it takes over. It fails when c is closed.
func New(c *net.UDPConn) (*Conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("promptudp: %w", err)
	}
	var name unix.Sockaddr
	if e := raw.Control(func(fd uintptr) { name, err = unix.Getsockname(int(fd)) }); e != nil {
		return nil, fmt.Errorf("promptudp: %w", e)
	}
	if err != nil {
		return nil, fmt.Errorf("promptudp: %w", os.NewSyscallError("getsockname", err))
	}
	_, ip6 := name.(*unix.SockaddrInet6)
	return &Conn{UDPConn: c, raw: raw, ip6: ip6, sends: sync.Pool{New: newSend}}, nil
}

// WriteMsgUDP sends b, and oob as its control messages. Errors are those of net.UDPConn.
func (c *Conn) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	s, _ := c.sends.Get().(*send)
	sent := s.set(b, oob) && s.address(to, c.ip6) && c.raw.Control(s.call) == nil && s.sent
	s.clear()
	c.sends.Put(s)
	if sent {
		return len(b), len(oob), nil
	}
	return c.UDPConn.WriteMsgUDP(b, oob, to)
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

// set points to what is sent. It says whether there is anything.
func (s *send) set(b, oob []byte) bool {
	s.iov.Base = unsafe.SliceData(b)
	s.iov.SetLen(len(b))
	s.msg.Iov = &s.iov
	s.msg.SetIovlen(1)
	if len(oob) > 0 {
		s.msg.Control = unsafe.SliceData(oob)
		s.msg.SetControllen(len(oob))
	}
	return len(b) > 0
}

// address says where to. It has none for an address with a zone, whose number net knows, and for one of another family.
func (s *send) address(to *net.UDPAddr, ip6 bool) bool {
	if to == nil || to.Zone != "" {
		return false
	}
	port := [2]byte{byte(to.Port >> 8), byte(to.Port)} // as the network has it
	if ip4 := to.IP.To4(); ip4 != nil && !ip6 {
		s.to4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: [4]byte(ip4)}
		s.msg.Name, s.msg.Namelen = (*byte)(unsafe.Pointer(&s.to4)), unix.SizeofSockaddrInet4
		return true
	}
	if ip := to.IP.To16(); ip != nil && ip6 {
		s.to6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: [16]byte(ip)}
		s.msg.Name, s.msg.Namelen = (*byte)(unsafe.Pointer(&s.to6)), unix.SizeofSockaddrInet6
		return true
	}
	return false
}

// clear keeps nothing of what was sent alive.
func (s *send) clear() { s.msg, s.iov, s.sent = unix.Msghdr{}, unix.Iovec{}, false }
