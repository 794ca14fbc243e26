package migrate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// A source that serves loses blobs and gets others while it is copied: what is gone is no fault, and the next run, which
// may move, picks up the rest.
func TestServedFilesChange(t *testing.T) {
	leaktest.Check(t)
	b := filesBed(t, t.TempDir(), 30, 40, 50_000, 2)
	s := store(t, b.from, migrate.Sharded, 2)
	gone, fresh := b.blobs[len(b.blobs)-1], bytesOf(40, 0, 50_000)
	v, err := blob.Verify(blob.Sum(fresh), fresh)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	fsys := faultyFS{FS: diskfs.OS(), read: func(path string) error {
		if strings.HasSuffix(path, b.blobs[0].String()) {
			once.Do(func() {
				if err := errors.Join(s.Delete(t.Context(), gone), s.Put(t.Context(), v, blob.KindContent)); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}}
	rep := run(t, migrate.Options{From: b.from, To: b.to, Workers: 1, FS: fsys})
	if rep.Gone != 1 || rep.Copied != int64(len(b.blobs)-1) {
		t.Errorf("%+v", rep)
	}
	for _, bad := range rep.BadBlobs {
		if bad.Hash == gone.String() {
			t.Errorf("listed as bad: %v", bad)
		}
	}
	closeAll(t, s)
	b.blobs[len(b.blobs)-1], b.bad[gone] = v.Hash(), "deleted"
	if rep := run(t, migrate.Options{From: b.from, To: b.to, Move: true}); rep.Copied != 1 || rep.Freed != int64(len(b.blobs)) {
		t.Errorf("the run after it: %+v", rep)
	}
	b.mustHave(t, migrate.Segments, 0)
	mustBeClean(t, b.to)
}

// A destination that a program serves is refused with its pid, and nothing leaves the source.
func TestServedDestination(t *testing.T) {
	b := filesBed(t, t.TempDir(), 32, 10, 5000, 2)
	e := openEngine(t, b.to)
	defer closeAll(t, e)
	_, err := try(t, migrate.Options{From: b.from, To: b.to, Move: true})
	var held *diskfs.LockedError
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("%v", err)
	}
	if len(filesLeft(t, b.from)) != len(b.blobs)+len(b.bad) {
		t.Error("the source lost something")
	}
}

// A segment that the disk does not give is listed and stays whole; the others leave, and it does when it can be read.
func TestUnreadableSegment(t *testing.T) {
	leaktest.Check(t)
	b := segmentsBed(t, t.TempDir(), 33, 80, 600_000)
	hurt := filepath.Join(b.from, "segments", mount.SegmentName(1))
	fsys := faultyFS{FS: diskfs.OS(), read: func(path string) error {
		if path == hurt {
			return syscall.EIO
		}
		return nil
	}}
	o := migrate.Options{From: b.from, To: b.to, Move: true, FS: fsys}
	rep := run(t, o)
	if rep.Bad != 1 || rep.BadBlobs[0].Path != hurt || rep.Copied == 0 || rep.Copied == int64(len(b.blobs)) {
		t.Errorf("%+v", rep)
	}
	o.FS = nil
	if rest := run(t, o); !rest.Clean() || rest.Copied != int64(len(b.blobs))-rep.Copied {
		t.Errorf("once it can be read: %+v", rest)
	}
	b.mustHave(t, migrate.Segments, 0)
	b.mustBeLeft(t, true)
}

// What may not be opened is listed and stays; where nothing may be made, nothing leaves the source.
func TestNoPermission(t *testing.T) {
	leaktest.Check(t)
	b := filesBed(t, t.TempDir(), 34, 20, 5000, 2)
	fsys := faultyFS{FS: diskfs.OS(), create: func(path string) error {
		if strings.HasPrefix(path, b.to) {
			return &fs.PathError{Op: "create", Path: path, Err: syscall.EACCES}
		}
		return nil
	}}
	o := migrate.Options{From: b.from, To: b.to, Move: true, FS: fsys}
	if _, err := try(t, o); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), b.to) {
		t.Errorf("%v", err)
	}
	if len(filesLeft(t, b.from)) != len(b.blobs)+len(b.bad) {
		t.Error("the source lost something")
	}
	closed := b.blobs[3]
	o.FS = faultyFS{FS: diskfs.OS(), open: func(path string) error {
		if strings.HasSuffix(path, closed.String()) {
			return &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES}
		}
		return nil
	}}
	if rep := run(t, o); rep.Bad != int64(len(b.bad))+1 || rep.Freed != int64(len(b.blobs))-1 {
		t.Errorf("%+v", rep)
	}
	if _, ok := filesLeft(t, b.from)[closed.String()]; !ok {
		t.Error("what could not be read has left")
	}
	o.FS = nil
	run(t, o)
	b.mustHave(t, migrate.Segments, 0)
}

// A disk that gets full in the midst ends the run; what was moved is whole, and the next run goes on.
func TestFull(t *testing.T) {
	leaktest.Check(t)
	b := filesBed(t, t.TempDir(), 35, 80, 600_000, 2) // more than one segment
	var made atomic.Int32
	fsys := faultyFS{FS: diskfs.OS(), create: func(path string) error {
		if strings.HasPrefix(path, b.to) && strings.HasSuffix(path, ".seg") && made.Add(1) > 1 {
			return &fs.PathError{Op: "create", Path: path, Err: syscall.ENOSPC}
		}
		return nil
	}}
	o := migrate.Options{From: b.from, To: b.to, Move: true, FS: fsys}
	rep, err := try(t, o)
	if !errors.Is(err, migrate.ErrRoom) || rep.Copied == 0 || rep.Copied == int64(len(b.blobs)) {
		t.Errorf("%v, %+v", err, rep)
	}
	if left := len(filesLeft(t, b.from)); left != len(b.blobs)+len(b.bad)-int(rep.Freed) {
		t.Errorf("%d files are left: %+v", left, rep)
	}
	o.FS = nil
	run(t, o)
	if left := len(filesLeft(t, b.from)); left != len(b.bad) {
		t.Errorf("%d files are left", left)
	}
	b.mustHave(t, migrate.Segments, 0)
	mustBeClean(t, b.to)
}
