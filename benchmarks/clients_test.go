package benchmarks

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/protocol/reflector"
)

var (
	slowFor     = flag.Duration("slow-for", 25*time.Second, "how long BenchmarkSlowReaders asks beside its slow readers")
	slowReaders = flag.Int("slow-readers", 2000, "the slow readers of BenchmarkSlowReaders")
	idlePeers   = flag.Int("idle-peers", 10_000, "the connections of BenchmarkIdlePeers")
)

// slowPause is how long a slow reader waits after each 10,000 bytes.
const slowPause = 500 * time.Millisecond

// BenchmarkSlowReaders has 2,000 clients read full blobs at 20 KB/s from a blobcache whose max_concurrent_requests is 200,
// and meanwhile asks for others: how long each of those answers takes, whole, and how much anonymous memory the server
// has at most. Bars: 100 ms for every one of them, 256 MiB. The readers' receive buffers are small, so that the server
// keeps what they did not read.
func BenchmarkSlowReaders(b *testing.B) {
	d := makeData(b, 64, blob.MaxSize)
	s := startPrism(b, "segments", startOrigin(b, d.dir))
	load(b, s.addr, d.hashes, len(d.hashes), 8) // fill
	var most, middle, late, worst, ours []float64
	for b.Loop() {
		stop, read := make(chan struct{}), new(atomic.Int64)
		var readers, reading sync.WaitGroup
		reading.Add(*slowReaders)
		for i := range *slowReaders {
			readers.Go(func() {
				time.Sleep(slowPause * time.Duration(i) / time.Duration(*slowReaders)) // they are not in step
				readSlowly(b, s.addr, d.hashes[i%len(d.hashes)], stop, reading.Done, read)
			})
		}
		reading.Wait()
		if b.Failed() {
			close(stop)
			readers.Wait()
			b.FailNow()
		}
		began := read.Load()
		var took, alone []float64
		most = append(most, watched{s.Child}.peak(b, func() { took, alone = askFor(b, s, d.hashes, *slowFor) }))
		rate := float64(read.Load()-began) / slowFor.Seconds() / float64(*slowReaders) / 1000
		close(stop)
		readers.Wait()
		b.Logf("%d answers beside readers at %.1f KB/s", len(took), rate)
		middle = append(middle, percentile(took, 0.5))
		late = append(late, percentile(took, 0.99))
		worst = append(worst, percentile(took, 1))
		ours = append(ours, percentile(alone, 1))
	}
	report(b, "anonymous-MiB", percentile(most, 1), atMost(256))
	report(b, "hit-p50-ms", median(middle), bar{})
	report(b, "hit-p99-ms", median(late), bar{})
	report(b, "hit-max-ms", percentile(worst, 1), bar{})
	report(b, "hit-max-less-held-up-ms", percentile(ours, 1), atMost(100))
}

// askFor asks for one blob after the other for a while, and says how many milliseconds each took, and how many without
// the time for which this process, where the slow readers are too, was held up itself.
func askFor(b *testing.B, s *server, hashes []string, d time.Duration) (took, alone []float64) {
	b.Helper()
	g := startGauge()
	defer g.end()
	c, err := dial(s.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		began := time.Now()
		if _, err := c.get(hashes[len(took)%len(hashes)]); err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		took = append(took, float64(now.Sub(began).Microseconds())/1000)
		alone = append(alone, float64((now.Sub(began)-g.late(began, now)).Microseconds())/1000)
	}
	return took, alone
}

// readSlowly reads a blob at 20 KB/s, again and again until stop, and adds up what came. begun is called once, when its
// first bytes have come or cannot.
func readSlowly(b *testing.B, addr, hash string, stop <-chan struct{}, begun func(), read *atomic.Int64) {
	const buffer, piece = 16 << 10, 10_000
	once := sync.OnceFunc(begun)
	defer once()
	d := net.Dialer{Timeout: 30 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffer) })
		return errors.Join(err, set)
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer c.Close()
	tick := time.NewTicker(slowPause)
	defer tick.Stop()
	buf := make([]byte, piece)
	for {
		if _, err := fmt.Fprintf(c, "GET /blob?hash=%s HTTP/1.1\r\nHost: bench\r\n\r\n", hash); err != nil {
			b.Error(err)
			return
		}
		for left := blob.MaxSize; left > 0; { // and a header, which the next answer's makes up for
			n, err := io.ReadFull(c, buf[:min(piece, left)])
			if err != nil {
				b.Errorf("a slow reader was cut: %v", err)
				return
			}
			once()
			read.Add(int64(n))
			left -= n
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}
}

// BenchmarkIdlePeers opens 10,000 connections of the peer protocol, each of which has asked once and waits: what they cost
// the server in anonymous memory. Bar: 200 MB. Both ends are in this machine, and need as many descriptors each.
func BenchmarkIdlePeers(b *testing.B) {
	d := makeData(b, 1, 4096)
	shared := make([]byte, 4096)
	var more []float64
	for b.Loop() {
		s := startPeer(b, d)
		loadWith(b, s.ask, s.addr, d.hashes, 100, 8)
		before := watched{s.Child}.anon(b)
		var open []*client
		for range *idlePeers {
			c, err := dialInto(s.addr, shared)
			if err != nil {
				b.Fatalf("connection %d: %v", len(open), err)
			}
			open = append(open, c)
			if _, err := s.ask(c, d.hashes[0]); err != nil {
				b.Fatalf("connection %d: %v", len(open), err)
			}
		}
		more = append(more, (watched{s.Child}.anon(b)-before)*(1<<20)/1e6)
		for _, c := range open {
			_ = c.Close()
		}
		s.Kill()
	}
	report(b, "MB-more", median(more), atMost(200))
}

// BenchmarkUploadsInFlight has 100 uploads of full blobs under way, all but the last byte of each: what one costs the
// server in anonymous memory. Bar: 2 MiB and 64 KiB.
func BenchmarkUploadsInFlight(b *testing.B) {
	const uploads = 100
	blobs := newSupply(blob.MaxSize)
	var each []float64
	for b.Loop() {
		dir := newFolder(b)
		addr := fmt.Sprintf("127.0.0.1:%d", port(b))
		p, err := process.Start("reflector", filepath.Join(b.TempDir(), "log"), asRole("reflector", addr, "disk", dir, "interval"))
		if err != nil {
			b.Fatal(err)
		}
		s := &server{Child: p, addr: addr}
		_ = s.uploader(b).Close() // it listens
		before := watched{s.Child}.anon(b)
		var open []net.Conn
		for range uploads {
			v := blobs.from(1)[0]
			c, err := beginUpload(addr, v)
			if err != nil {
				b.Fatal(err)
			}
			open = append(open, c)
		}
		time.Sleep(time.Second) // what was sent is read
		each = append(each, (watched{s.Child}.anon(b)-before)/uploads*1024)
		for _, c := range open {
			_ = c.Close()
		}
		p.Kill()
	}
	report(b, "KiB-each", median(each), atMost(2048+64))
}

// beginUpload offers a blob and sends all of it but the last byte.
func beginUpload(addr string, v blob.Verified) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	hear := func(want string) error {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			return fmt.Errorf("heard %q, want %q: %w", got, want, err)
		}
		return nil
	}
	if _, err := c.Write(reflector.AppendVersion(nil, 1)); err != nil {
		return nil, err
	}
	if err := hear(`{"version":1}`); err != nil {
		return nil, err
	}
	offer := reflector.Request{Kind: blob.KindContent, Hash: v.Hash(), Size: v.Size()}
	if _, err := c.Write(reflector.AppendRequest(nil, offer)); err != nil {
		return nil, err
	}
	if err := hear(`{"send_blob":true}`); err != nil {
		return nil, err
	}
	_, err = c.Write(v.Bytes()[:v.Size()-1])
	return c, err
}
