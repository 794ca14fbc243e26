package benchmarks

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
)

// load asks addr for n blobs in the order of the list, again and again, on conns connections that stay open, and
// returns the bytes of all bodies. Anything but whole answers of 200 fails the benchmark.
func load(tb testing.TB, addr string, hashes []string, n, conns int) int64 {
	tb.Helper()
	return loadWith(tb, (*client).get, addr, hashes, n, conns)
}

// asking gets one blob over a connection and gives its size.
type asking func(c *client, hash string) (int, error)

// loadWith is load in any protocol.
func loadWith(tb testing.TB, ask asking, addr string, hashes []string, n, conns int) int64 {
	tb.Helper()
	var next, total atomic.Int64
	var failed sync.Map
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			c, err := dial(addr)
			if err != nil {
				failed.Store(err.Error(), true)
				return
			}
			defer c.Close()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				size, err := ask(c, hashes[i%len(hashes)])
				if err != nil {
					failed.Store(err.Error(), true)
					return
				}
				total.Add(int64(size))
			}
		})
	}
	wg.Wait()
	failed.Range(func(err, _ any) bool {
		tb.Errorf("load on %s: %v", addr, err)
		return true
	})
	if tb.Failed() {
		tb.FailNow()
	}
	return total.Load()
}

// client is one connection. Bodies never come into this process: the kernel drops them.
type client struct {
	net.Conn
	raw    func(func(fd uintptr) bool) error
	head   []byte
	length []byte
}

func dial(addr string) (*client, error) { return dialInto(addr, make([]byte, blob.MaxSize)) }

// dialInto is dial with a place for what is dropped, which connections may share: nothing is written there.
func dialInto(addr string, length []byte) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	return &client{c, raw.Read, make([]byte, 4096), length}, nil
}

// get asks for one blob and returns its size once all of it has arrived.
func (c *client) get(hash string) (int, error) {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(c, "GET /blob?hash=%s HTTP/1.1\r\nHost: bench\r\n\r\n", hash); err != nil {
		return 0, err
	}
	have, end := 0, -1
	for end < 0 {
		n, err := c.Read(c.head[have:])
		if err != nil {
			return 0, err
		}
		have += n
		end = bytes.Index(c.head[:have], []byte("\r\n\r\n"))
		if end < 0 && have == len(c.head) {
			return 0, fmt.Errorf("a header of more than %d bytes", have)
		}
	}
	size, err := contentLength(c.head[:end])
	if err != nil {
		return 0, err
	}
	return size, c.drop(size - (have - end - 4))
}

// contentLength reads the header of an answer that must be 200.
func contentLength(head []byte) (int, error) {
	status, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return 0, fmt.Errorf("answered %q", status)
	}
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	return 0, fmt.Errorf("no Content-Length in %q", head)
}

// drop has the kernel throw the next n bytes away: with MSG_TRUNC a receive from TCP copies nothing, so the buffer gives
// only its length.
func (c *client) drop(n int) error {
	for n > 0 {
		var got int
		var failed error
		err := c.raw(func(fd uintptr) bool {
			got, _, failed = unix.Recvfrom(int(fd), c.length[:min(n, len(c.length))], unix.MSG_TRUNC)
			return failed != unix.EAGAIN
		})
		if err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		if got == 0 {
			return fmt.Errorf("the connection ended %d bytes early", n)
		}
		n -= got
	}
	return nil
}
