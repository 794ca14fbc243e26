package prefetch_test

import (
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/internal/prefetch"
)

// TestWord: memory is as it was, whoever writes to it meanwhile. What it gains is for benchmarks.
func TestWord(t *testing.T) {
	words := make([]atomic.Uint64, 1<<16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range words {
			words[i].Store(uint64(i))
		}
	}()
	for i := range words {
		prefetch.Word(&words[i])
	}
	<-done
	for i := range words {
		prefetch.Word(&words[i])
		if got := words[i].Load(); got != uint64(i) {
			t.Fatalf("word %d is %d", i, got)
		}
	}
}

// TestStream: memory is as it was, whatever the length and the address; the last line of a page asks for none of the next,
// which nobody may touch. What it gains is for benchmarks.
func TestStream(t *testing.T) {
	page := os.Getpagesize()
	all, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(all) }()
	if err := unix.Mprotect(all[page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	p := all[:page]
	for i := range p {
		p[i] = byte(i % 251)
	}
	for _, n := range []int{0, 1, 63, 64, 65, 127, page - 1, page} {
		prefetch.Stream(p[:n])
		prefetch.Stream(p[page-n:])
	}
	for i := range p {
		if p[i] != byte(i%251) {
			t.Fatalf("byte %d is %d", i, p[i])
		}
	}
}
