package benchmarks

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// supply makes blobs of one size that differ from each other: random bytes under a number.
type supply struct {
	base []byte
	next atomic.Uint64
}

func newSupply(size int) *supply {
	s := &supply{base: make([]byte, size)}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(s.base)
	return s
}

// fill makes the next blob in buf, which has room for it.
func (s *supply) fill(buf []byte) blob.Verified { return s.number(s.next.Add(1), buf) }

// number makes the blob of that number.
func (s *supply) number(n uint64, buf []byte) blob.Verified {
	buf = buf[:len(s.base)]
	s.stamp(n, buf)
	v, err := blob.Verify(blob.Sum(buf), buf)
	if err != nil {
		panic(err) // its name was just computed
	}
	return v
}

// stamp makes its bytes alone.
func (s *supply) stamp(n uint64, buf []byte) {
	copy(buf, s.base)
	binary.LittleEndian.PutUint64(buf, n)
}

// take makes n blobs, each in memory of its own.
func (s *supply) take(n int) []blob.Verified {
	out := make([]blob.Verified, n)
	parallel(runtime.NumCPU(), n, func(i int) { out[i] = s.number(uint64(i)+1, make([]byte, len(s.base))) })
	s.next.Add(uint64(n))
	return out
}

// parallel calls f for 0 … n-1 from some goroutines.
func parallel(workers, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// workDir is a folder on a disk. What a file system in memory does says nothing about one.
func workDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if fileSystem(dir) == "tmpfs" {
		tb.Fatalf("%s is in memory: set TMPDIR to a folder on the disk that is to be measured", dir)
	}
	return dir
}

// openEngine opens an engine on a folder. It is closed with the benchmark, if it was not before.
func openEngine(tb testing.TB, o engine.Options) *engine.Engine {
	tb.Helper()
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := engine.Open(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = e.Close() })
	return e
}

// put stores a blob and takes no excuse.
func put(tb testing.TB, e *engine.Engine, v blob.Verified) {
	if err := e.Put(context.Background(), v, blob.KindContent); err != nil {
		tb.Error(err)
	}
}

// cost is what a piece of work took.
type cost struct {
	wall, cpu time.Duration
	mallocs   uint64
}

// measure runs f.
func measure(f func()) cost {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, began := ownCPU(), time.Now()
	f()
	c := cost{wall: time.Since(began), cpu: ownCPU() - cpu}
	runtime.ReadMemStats(&after)
	c.mallocs = after.Mallocs - before.Mallocs
	return c
}

// sink is a plain TCP connection whose other end throws everything away in the kernel.
type sink struct{ *net.TCPConn }

// KernelSink marks it: its Write is write(2).
func (sink) KernelSink() {}

// newSink makes one; both ends go with the benchmark.
func newSink(tb testing.TB) sink {
	tb.Helper()
	s, end, err := connectSink()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(end)
	return s
}

func connectSink() (sink, func(), error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return sink{}, nil, err
	}
	defer l.Close()
	near, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		return sink{}, nil, err
	}
	far, err := l.AcceptTCP()
	if err != nil {
		_ = near.Close()
		return sink{}, nil, err
	}
	raw, err := far.SyscallConn()
	if err != nil {
		_ = near.Close()
		return sink{}, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := &client{far, raw.Read, nil, make([]byte, blob.MaxSize)}
		for c.drop(1<<20) == nil {
		}
	}()
	return sink{near}, func() { _ = near.Close(); <-done; _ = far.Close() }, nil
}

// send gets a blob and sends it all.
func send(e *engine.Engine, h blob.Hash, to sink) error {
	hd, err := e.Get(context.Background(), h)
	if err != nil {
		return err
	}
	defer hd.Release()
	n, err := hd.SendTo(to, 0, hd.Size())
	if err == nil && n < hd.Size() {
		err = io.ErrShortWrite
	}
	return err
}

// settle writes back what is dirty, so that one turn does not pay for the last.
func settle() { unix.Sync() }
