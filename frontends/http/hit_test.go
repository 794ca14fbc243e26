package httpd_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// client asks for one blob again and again over one connection, and allocates nothing.
type client struct {
	c       net.Conn
	request []byte
	buf     []byte
}

func (s *server) client(h blob.Hash) *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return &client{c: c, request: []byte("GET /blob?hash=" + h.String() + " HTTP/1.1\r\nHost: x\r\n\r\n"), buf: make([]byte, 1<<20)}
}

// hit asks once, and reads size bytes of body.
func (c *client) hit(size int) error {
	if _, err := c.c.Write(c.request); err != nil {
		return err
	}
	have, left := 0, -1
	for left != 0 {
		n, err := c.c.Read(c.buf[have:])
		if err != nil {
			return err
		}
		if left >= 0 {
			left -= n
			continue
		}
		have += n
		if end := bytes.Index(c.buf[:have], []byte("\r\n\r\n")); end >= 0 {
			left = size - (have - end - 4)
			have = 0
		}
	}
	return nil
}

func BenchmarkHit(b *testing.B) {
	for _, size := range []int{1000, 4096, 60_000, blob.MaxSize} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			data := content(uint64(size), size)
			s := start(b, httpd.Options{Store: newShelf(data)})
			c := s.client(blob.Sum(data))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.hit(size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A hit allocates little, whatever its size: below 16 KiB all told, so nothing above 16 KiB at once.
func TestHitAllocatesLittle(t *testing.T) {
	for _, size := range []int{4096, 60_000, blob.MaxSize} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			data := content(uint64(size), size)
			s := start(t, httpd.Options{Store: newShelf(data)})
			c := s.client(blob.Sum(data))
			const hits = 200
			var before, after runtime.MemStats
			for i := range 2 * hits {
				if i == hits { // the first half fills pools
					runtime.ReadMemStats(&before)
				}
				if err := c.hit(size); err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / hits; got > 16<<10 {
				t.Errorf("%d bytes a hit", got)
			}
		})
	}
}

// The header and a small body leave in one system call: as one segment, on a link that could carry all of it.
func TestOneWrite(t *testing.T) {
	for _, size := range []int{100, 4096, 30_000} {
		data := content(uint64(size), size)
		s := start(t, httpd.Options{Store: newShelf(data)})
		c := s.dial()
		for n := range 3 {
			if _, err := io.WriteString(c, requestFor(blob.Sum(data))); err != nil {
				t.Fatal(err)
			}
			expect(t, c, "200", data)
			raw, err := c.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var info *unix.TCPInfo
			if e := raw.Control(func(fd uintptr) {
				info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			}); e != nil || err != nil {
				t.Fatal(e, err)
			}
			if got := int(info.Data_segs_in); got != n+1 {
				t.Errorf("%d bytes: %d segments after %d answers", size, got, n+1)
			}
		}
	}
}
