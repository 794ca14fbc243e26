package migrate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// faultyFS fails what is done with some files.
type faultyFS struct {
	diskfs.FS
	open, create, read, sync func(path string) error // each may be nil
}

type faultyFile struct {
	diskfs.File
	fs   faultyFS
	path string
}

func (f faultyFS) wrap(name string, file diskfs.File, err error) (diskfs.File, error) {
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f, name}, nil
}

func (f faultyFS) Open(name string, write bool) (diskfs.File, error) {
	if f.open != nil {
		if err := f.open(name); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.Open(name, write)
	return f.wrap(name, file, err)
}

func (f faultyFS) Create(name string) (diskfs.File, error) {
	if f.create != nil {
		if err := f.create(name); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.Create(name)
	return f.wrap(name, file, err)
}

func (f faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if f.fs.read != nil {
		if err := f.fs.read(f.path); err != nil {
			return 0, err
		}
	}
	return f.File.ReadAt(p, off)
}

func (f faultyFile) Sync() error {
	if f.fs.sync != nil {
		if err := f.fs.sync(f.path); err != nil {
			return err
		}
	}
	return f.File.Sync()
}

// What the source's disk cannot read is listed and stays; that the process has no descriptors left ends the run.
func TestUnreadable(t *testing.T) {
	leaktest.Check(t)
	b := filesBed(t, t.TempDir(), 20, 40, 50_000, 2)
	hurt, fault := b.blobs[5], error(syscall.EIO)
	fsys := faultyFS{FS: diskfs.OS(), read: func(path string) error {
		if strings.HasSuffix(path, hurt.String()) {
			return fault
		}
		return nil
	}}
	o := migrate.Options{From: b.from, To: b.to, Move: true, FS: fsys}
	rep := run(t, o)
	listed := slices.ContainsFunc(rep.BadBlobs, func(x migrate.Bad) bool { return x.Hash == hurt.String() && x.Path == pathOf(b.from, 2, hurt) })
	if rep.Bad != int64(len(b.bad))+1 || !listed {
		t.Errorf("%+v", rep)
	}
	fault = syscall.EMFILE
	if _, err := try(t, o); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("without descriptors: %v", err)
	}
	fault = nil
	if rep := run(t, o); rep.Copied != 1 || rep.Freed != 1 {
		t.Errorf("once it can be read: %+v", rep)
	}
	b.mustHave(t, migrate.Segments, 0)
}

// Nothing leaves the source for a destination that could not make it durable.
func TestFailedSyncFreesNothing(t *testing.T) {
	leaktest.Check(t)
	for _, layout := range []migrate.Layout{migrate.Segments, migrate.Sharded} {
		b := filesBed(t, t.TempDir(), 21, 40, 50_000, 2)
		var armed atomic.Bool
		fsys := faultyFS{FS: diskfs.OS(), sync: func(path string) error {
			if armed.Load() && (strings.HasSuffix(path, ".seg") || strings.Contains(path, "/new/tmp/")) {
				return syscall.EIO
			}
			return nil
		}}
		armed.Store(layout == migrate.Sharded)
		o := migrate.Options{From: b.from, To: b.to, Move: true, FS: fsys, Layout: layout, OnBad: func(migrate.Bad) { armed.Store(true) }}
		rep, err := try(t, o)
		left := len(filesLeft(t, b.from))
		if layout == migrate.Segments && err == nil {
			t.Errorf("%s: no error, %+v", layout, rep)
		}
		if want := len(b.blobs) + len(b.bad) - int(rep.Freed); left != want {
			t.Errorf("%s: %d files are left, want %d; %+v", layout, left, want, rep)
		}
		o.FS, o.OnBad = nil, nil
		run(t, o)
		b.mustHave(t, layout, 0)
	}
}

// A run that is told to end does so, and the next one goes on.
func TestEnded(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := filesBed(t, t.TempDir(), 22, 60, 50_000, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, err := migrate.New(migrate.Options{
		From: b.from, To: b.to, MaxSize: migrate.NoCap, SegmentSize: segmentSize, Move: true, Workers: 1, Logger: quiet, MaxRate: 1 << 20,
		OnBad: func(migrate.Bad) { cancel() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if rep, err := m.Run(ctx); !errors.Is(err, context.Canceled) || rep.Copied == int64(len(b.blobs)) {
		t.Errorf("%v, %+v", err, rep)
	}
	if p := m.Progress(); p.Phase != migrate.Done || p.Found != int64(len(b.blobs)+len(b.bad)) {
		t.Errorf("%+v", p)
	}
	run(t, migrate.Options{From: b.from, To: b.to, Move: true})
	b.mustHave(t, migrate.Segments, 0)
	if left := filesLeft(t, b.from); len(left) != len(b.bad) {
		t.Errorf("%d files are left", len(left))
	}
}
