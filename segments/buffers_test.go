package segments

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// TestHugeMemory: buffers of both sizes, asked for in any order and by many at once, share no byte, and a large one does not
// discard the rest of a page.
func TestHugeMemory(t *testing.T) {
	var m hugeMemory
	sizes := []int{pieceSize, blob.MaxSize, pieceSize, blob.MaxSize, pieceSize, pieceSize, pieceSize, blob.MaxSize}
	bufs := make([][]byte, len(sizes))
	var wg sync.WaitGroup
	for i, n := range sizes {
		wg.Go(func() {
			b := m.alloc(n)
			if len(b) != n || cap(b) != n {
				t.Errorf("%d bytes, room for %d; want %d", len(b), cap(b), n)
			}
			for j := range b {
				b[j] = byte(i)
			}
			bufs[i] = b
		})
	}
	wg.Wait()
	for i, b := range bufs {
		if n := bytes.Count(b, []byte{byte(i)}); n != len(b) {
			t.Errorf("buffer %d: %d of %d bytes are others'", i, len(b)-n, len(b))
		}
	}
	if want := 3 + 2; len(m.pages) != want { // five pieces need two
		t.Errorf("%d pages, want %d", len(m.pages), want)
	}
	m.free()
	if len(m.pages) != 0 || len(m.rest) != 0 {
		t.Errorf("%d pages and %d bytes are left", len(m.pages), len(m.rest))
	}
}

// TestPagesGoWithTheirBuffers: pages are given back once nobody has the Buffers.
func TestPagesGoWithTheirBuffers(t *testing.T) {
	var freed atomic.Bool
	func() {
		b := NewBuffers(1)
		p, ok := b.large.TryGet()
		if !ok {
			t.Fatal("no buffer")
		}
		p[0] = 1
		b.large.Put(p)
		b.mem.pages = append(b.mem.pages, func() { freed.Store(true) })
		runtime.GC()
		if freed.Load() {
			t.Error("its pages are gone before it")
		}
		runtime.KeepAlive(b)
	}()
	for deadline := time.Now().Add(10 * time.Second); !freed.Load() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		runtime.GC()
	}
	if !freed.Load() {
		t.Error("its pages are still there")
	}
}
