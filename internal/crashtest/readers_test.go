package crashtest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
)

// progress counts the bytes that were put through, and wakes those who wait for more.
type progress struct {
	mu   sync.Mutex
	more sync.Cond
	n    int64
	over bool
}

func newProgress() *progress {
	p := &progress{}
	p.more.L = &p.mu
	return p
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	p.n += n
	p.mu.Unlock()
	p.more.Broadcast()
}

func (p *progress) now() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// end lets everybody who waits go on.
func (p *progress) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.more.Broadcast()
}

// await waits until n bytes were put through, or nothing more comes.
func (p *progress) await(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.n < n && !p.over {
		p.more.Wait()
	}
}

// smallWindow makes a connection that takes little at a time: over loopback the two kernels would otherwise hold all of
// a blob between them, and the program could let go of it at once. A small segment size keeps the sender's buffer small.
func smallWindow(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10); err == nil {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1400)
		}
	}); e != nil {
		return e
	}
	return err
}

// slowReader asks for one blob at a time and takes its body piece by piece.
type slowReader struct {
	client *http.Client
	buf    []byte
}

func newSlowReader() *slowReader {
	d := net.Dialer{Control: smallWindow}
	return &slowReader{
		client: &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true, ReadBufferSize: 4 << 10}},
		buf:    make([]byte, blob.MaxSize),
	}
}

// hold reads a blob to the end while `over` more bytes are put through, and compares it with its name.
func (r *slowReader) hold(ctx context.Context, p *program, h blob.Hash, through *progress, over int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+h.String(), nil)
	if err != nil {
		return err
	}
	from := through.now()
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := announced(res); err != nil {
		return fmt.Errorf("%s: %w", h.Short(), err)
	}
	const pieces = 64
	body := r.buf[:res.ContentLength]
	for i := range pieces {
		through.await(from + over*int64(i+1)/pieces)
		if _, err := io.ReadFull(res.Body, body[len(body)*i/pieces:len(body)*(i+1)/pieces]); err != nil {
			return fmt.Errorf("%s: a slow reader was cut in piece %d of %d: %w", h.Short(), i+1, pieces, err)
		}
	}
	if blob.Sum(body) != h {
		return fmt.Errorf("%s: %w in a body of %d bytes that was read slowly", h.Short(), errWrong, len(body))
	}
	return nil
}
