package check_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// unlisted is a file system that cannot list one folder.
type unlisted struct {
	diskfs.FS
	dir string
}

func (u unlisted) List(dir string) ([]string, error) {
	if dir == u.dir {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: syscall.EIO}
	}
	return u.FS.List(dir)
}

// TestIndexCannotBeListed: the segments speak for themselves, as with any other damage to the index, and payloads are read.
func TestIndexCannotBeListed(t *testing.T) {
	b := memBed(t).build()
	bad := unlisted{b.fs, filepath.Join(b.dir, "index")}
	for _, o := range []check.Options{{}, {Payloads: true}, {Hashes: true}} {
		r, err := check.Mount(t.Context(), bad, b.dir, o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		if len(r.Found) != 1 || r.Found[check.Index] != 1 || (o.Payloads || o.Hashes) && r.Read != 10 {
			t.Errorf("%+v: found %v, %d payloads read\n%v", o, r.Found, r.Read, r)
		}
	}
}

// held is a file system on which one file of the index is opened twice: at the second time that holds its caller.
type held struct {
	diskfs.FS
	name   string
	caught chan struct{}
	goOn   chan struct{}
	once   sync.Once
	after  []string // what was opened in its folder since
	mu     sync.Mutex
}

func (h *held) Open(name string, write bool) (diskfs.File, error) {
	if name == h.name {
		h.once.Do(func() { close(h.caught); <-h.goOn })
	} else if filepath.Dir(name) == filepath.Dir(h.name) {
		h.mu.Lock()
		h.after = append(h.after, name)
		h.mu.Unlock()
	}
	return h.FS.Open(name, write)
}

// TestStoppedWhileTheIndexIsInspected: a run that is told to stop reads no more of the index's files.
func TestStoppedWhileTheIndexIsInspected(t *testing.T) {
	b := memBed(t).build()
	dir := filepath.Join(b.dir, "index")
	for _, name := range []string{"000000.sst", "999998.sst", "999999.sst"} { // tables that nothing names
		f, err := b.fs.Create(filepath.Join(dir, name))
		b.must(errors.Join(err, f.Close()))
	}
	h := &held{FS: b.fs, name: filepath.Join(dir, "999998.sst"), caught: make(chan struct{}), goOn: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-h.caught
		cancel()
		close(h.goOn)
	}()
	if _, err := check.Mount(ctx, h, b.dir, check.Options{Payloads: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.after {
		if filepath.Base(name) == "999999.sst" {
			t.Error("the next table was read too")
		}
	}
}
