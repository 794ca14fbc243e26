package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// badSync is a file system whose syncs of segments fail although the bytes arrive, once it is told so.
type badSync struct {
	diskfs.FS
	fail *atomic.Bool
}

type badSyncFile struct {
	diskfs.File
	fail *atomic.Bool
}

func (f badSync) wrap(name string, file diskfs.File, err error) (diskfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".seg") {
		return file, err
	}
	return badSyncFile{file, f.fail}, nil
}

func (f badSync) Create(name string) (diskfs.File, error) {
	file, err := f.FS.Create(name)
	return f.wrap(name, file, err)
}

func (f badSync) Open(name string, write bool) (diskfs.File, error) {
	file, err := f.FS.Open(name, write)
	return f.wrap(name, file, err)
}

func (f badSyncFile) Sync() error {
	if err := f.File.Sync(); err != nil || !f.fail.Load() {
		return err
	}
	return syscall.EIO
}

// TestFailedSyncIsReadFromTheDevice fails the sync of a segment. What the device holds all the same is served, in this
// run and in the next; what only the page cache shows is a miss in both.
func TestFailedSyncIsReadFromTheDevice(t *testing.T) {
	for _, arrived := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("arrived=%v,restart=%v", arrived, restart), func(t *testing.T) { failedSync(t, arrived, restart) })
		}
	}
}

func failedSync(t *testing.T, arrived, restart bool) {
	fs := mountFS(t)
	o := small(fs)
	var fail atomic.Bool
	o.FS = badSync{fs, &fail}
	e, err := engine.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	before, after := randomBlob(t, 70_000), randomBlob(t, 600_000)
	last := randomBlob(t, 90_000) // the sequence that is stored with a failed flush must be older than both
	mustPut(t, e, before)
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustPut(t, e, after)
	mustPut(t, e, last)
	mustGet(t, e, after)
	if arrived {
		fail.Store(true)
	} else {
		fs.SetHook(func(op crashfs.Op) error {
			if op.Kind == crashfs.OpSync && strings.HasSuffix(op.Path, ".seg") {
				return syscall.EIO
			}
			return nil
		})
	}
	if err := e.Flush(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	if restart {
		_ = e.Close()
	}
	fail.Store(false)
	fs.SetHook(nil)
	if restart {
		if e, err = engine.Open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if err := e.WaitRecovered(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mustGet(t, e, before)
	for _, v := range []blob.Verified{after, last} {
		if arrived {
			mustGet(t, e, v)
			mustGet(t, e, v) // from the table of hot records
		} else if _, err := e.Get(t.Context(), v.Hash()); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("get of what never arrived: %v", err)
		}
	}
	if !arrived {
		eventually(t, "the record to be dropped", func() bool { return e.Stats().Blobs == 1 })
	}
	// A segment may have been refused meanwhile, and the next one is not tried at once.
	eventually(t, "puts go on", func() bool { return e.Put(t.Context(), after, blob.KindContent) == nil })
	mustGet(t, e, after)
	_ = e.Close() // the segment that failed may keep it from ending clean
}
