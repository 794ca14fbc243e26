//go:build linux

package diskfs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// TestReadDirect reads what was just written and is not synced, leaves the page cache as it was, and goes on when the
// name of the file is gone.
func TestReadDirect(t *testing.T) {
	f, name := newFile(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4*block/16)
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	p := diskfs.Aligned(2 * block)
	n, err := f.ReadDirect(p, block)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the file system has no direct reads:", err)
	}
	want(t, "the number of bytes", n, err, len(p))
	if !bytes.Equal(p, data[block:3*block]) {
		t.Error("other bytes than were written")
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	n, err = f.ReadDirect(p, 0)
	want(t, "the number of bytes without a name", n, err, len(p))
	if n, err := f.ReadDirect(p, 3*block); n != block || err == nil {
		t.Errorf("beyond the end: %d bytes, %v", n, err)
	}
	if n, err := f.ReadDirect(p, 8*block); n != 0 || err != io.EOF {
		t.Errorf("far beyond the end: %d bytes, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadDirect(p, 0); err == nil {
		t.Error("a closed file is read")
	}
}

// TestReadDirectRefuses what is not aligned.
func TestReadDirectRefuses(t *testing.T) {
	f, _ := newFile(t)
	p := diskfs.Aligned(2 * block)
	for _, c := range []struct {
		what string
		p    []byte
		off  int64
	}{
		{"offset", p, 512}, {"length", p[:block+1], 0}, {"address", p[1 : block+1], 0}, {"nothing", nil, 0}, {"before the file", p, -block},
	} {
		if _, err := f.ReadDirect(c.p, c.off); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestReadsWriteNothing: the kernel notes no time of access of a file that is open for writing.
func TestReadsWriteNothing(t *testing.T) {
	f, name := newFile(t)
	if _, err := f.WriteAt(diskfs.Aligned(2*block), 0); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(name, past, past.Add(time.Minute)); err != nil { // read before it was written: relatime would note it
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, block), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadDirect(diskfs.Aligned(block), block); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if at := info.Sys().(*syscall.Stat_t).Atim; at.Sec != past.Unix() {
		t.Errorf("the time of access moved from %v to %v", past, time.Unix(at.Sec, at.Nsec))
	}
}
