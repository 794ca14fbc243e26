//go:build linux

package diskfs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// A direct read gives what was synced, also of a file that lost its name, and says so where it cannot.
func TestReadDirect(t *testing.T) {
	f, name := newFile(t)
	want := bytes.Repeat([]byte("direct! "), 3*block/8)
	if _, err := f.WriteAt(want[:2*block+100], 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	buf := diskfs.Aligned(3 * block)
	n, err := f.ReadDirect(buf, 0)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Logf("the file system of %s has no direct reads: %v", name, err)
		return
	}
	if err != io.EOF || n != 2*block+100 || !bytes.Equal(buf[:n], want[:n]) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := f.ReadDirect(buf[:block], block); err != nil || n != block || !bytes.Equal(buf[:n], want[:n]) {
		t.Errorf("the second block: %d bytes, %v", n, err)
	}
	for _, bad := range []struct{ off, n int64 }{{1, block}, {0, 100}, {-block, block}} {
		if _, err := f.ReadDirect(buf[:bad.n], bad.off); err == nil || err == io.EOF {
			t.Errorf("%d bytes at %d are read: %v", bad.n, bad.off, err)
		}
	}
}
