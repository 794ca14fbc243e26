package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

func optionsOn(disk diskfs.FS) index.Options {
	return index.Options{FS: pebblefs.New(disk), Dir: "mount/index", MemTableBytes: 64 << 10, CacheBytes: 1 << 20}
}

// crashed is a disk with an index on it that was not closed: an open has logs to replay and tables to write.
func crashed(t *testing.T) *crashfs.FS {
	t.Helper()
	disk := crashfs.New()
	x := open(t, optionsOn(disk))
	if acked, _ := work(x, 60); acked != 60 {
		t.Fatal("the work was not done")
	}
	if err := x.Sync(); err != nil {
		t.Fatal(err)
	}
	after, _ := disk.Cut(1)
	return after
}

// Whatever write of an open fails, Open returns, says that it is the disk, and leaves an index that can be opened once
// the disk is well again.
func TestOpenOnAFailingDisk(t *testing.T) {
	for what, c := range map[string]struct {
		disk    *crashfs.FS
		batches int
	}{
		"new":     {crashfs.New(), 0},
		"crashed": {crashed(t), 60},
	} {
		t.Run(what, func(t *testing.T) {
			failed := 0
			for n := 1; ; n++ { // until a call has no number n
				disk, _ := c.disk.Cut(1) // nothing is lost: it is all durable
				start := disk.Ops()
				var hit atomic.Pointer[crashfs.Op]
				disk.SetHook(func(op crashfs.Op) error {
					if op.N == start+n {
						hit.Store(&op)
						return syscall.EIO
					}
					return nil
				})
				var x *index.Index
				var err error
				within(t, fmt.Sprintf("open with call %d failing", n), func() { x, err = index.Open(optionsOn(disk)) })
				opened := err == nil
				if opened { // the call may be one of the work behind it, or of Close
					within(t, "close", func() { err = x.Close() })
				}
				disk.SetHook(nil)
				fault := hit.Load()
				if fault == nil {
					must(t, err)
					break
				}
				if !opened {
					failed++
				}
				if harmless := fault.Kind == crashfs.OpRemove; harmless != (err == nil) ||
					!harmless && (!errors.Is(err, syscall.EIO) || errors.Is(err, index.ErrCorrupt)) {
					t.Errorf("call %d, %s: %v", n, callOf(*fault), err)
				}
				within(t, "opening again", func() {
					x, err := index.Open(optionsOn(disk))
					if err != nil {
						t.Fatalf("after call %d, %s: %v", n, callOf(*fault), err)
					}
					wantBlobs(t, x, c.batches-workWindow, c.batches)
					must(t, x.Close())
				})
			}
			if failed < 10 {
				t.Errorf("only %d calls of an open were made to fail", failed)
			}
		})
	}
}

// Errors of Open tell a damaged index from a bad disk, and both from one that must be left alone.
func TestOpenDamaged(t *testing.T) {
	find := func(t *testing.T, disk *crashfs.FS, part string) string {
		t.Helper()
		names, err := disk.List("mount/index")
		if err != nil {
			t.Fatal(err)
		}
		var found string
		for _, n := range names {
			if strings.HasPrefix(n, part) || filepath.Ext(n) == part {
				found = n // the last
			}
		}
		if found == "" {
			t.Fatalf("no %s in %v", part, names)
		}
		return filepath.Join("mount/index", found)
	}
	overwrite := func(t *testing.T, disk *crashfs.FS, name string, off int64, text string) {
		t.Helper()
		f, err := disk.Open(name, true)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte(text), off); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		damage func(t *testing.T, disk *crashfs.FS)
		want   error
	}{
		"no manifest": {func(t *testing.T, d *crashfs.FS) { must(t, d.Remove(find(t, d, "MANIFEST-"))) }, index.ErrCorrupt},
		"no tables": {func(t *testing.T, d *crashfs.FS) {
			for _, path := range tables(t, d) {
				must(t, d.Remove(path))
			}
		}, index.ErrCorrupt},
		"cut tables": {func(t *testing.T, d *crashfs.FS) {
			for _, path := range tables(t, d) {
				f, err := d.Open(path, true)
				must(t, err)
				must(t, errors.Join(f.Truncate(100), f.Close()))
			}
		}, index.ErrCorrupt},
		"bad manifest":       {func(t *testing.T, d *crashfs.FS) { overwrite(t, d, find(t, d, "MANIFEST-"), 20, "damage") }, index.ErrCorrupt},
		"no manifest marker": {func(t *testing.T, d *crashfs.FS) { must(t, d.Remove(find(t, d, "marker.manifest"))) }, index.ErrCorrupt},
		"no format marker": {func(t *testing.T, d *crashfs.FS) {
			must(t, d.Remove(find(t, d, "marker.format-version")))
		}, index.ErrCorrupt},
		"strange marker": {func(t *testing.T, d *crashfs.FS) {
			must(t, d.Rename(find(t, d, "marker.format-version"), "mount/index/marker.format-version.000099.abc"))
		}, index.ErrCorrupt},
		"later Pebble": {func(t *testing.T, d *crashfs.FS) {
			must(t, d.Rename(find(t, d, "marker.format-version"), "mount/index/marker.format-version.000099.999"))
		}, index.ErrNewerFormat},
		"later Pebble that is linked": {func(t *testing.T, d *crashfs.FS) {
			later := fmt.Sprintf("mount/index/marker.format-version.000099.%03d", pebble.FormatNewest)
			must(t, d.Rename(find(t, d, "marker.format-version"), later))
		}, index.ErrNewerFormat},
		"later rows": {func(t *testing.T, d *crashfs.FS) {
			db, err := pebble.Open("mount/index", plainPebble(d))
			must(t, err)
			must(t, db.Set([]byte("m"), []byte{2, 1, 2, 3}, pebble.Sync))
			must(t, db.Close())
		}, index.ErrNewerFormat},
		"bad meta row": {func(t *testing.T, d *crashfs.FS) {
			db, err := pebble.Open("mount/index", plainPebble(d))
			must(t, err)
			must(t, db.Set([]byte("m"), []byte{1, 1, 2, 3}, pebble.Sync))
			must(t, db.Close())
		}, index.ErrCorrupt},
		"unreadable manifest": {func(t *testing.T, d *crashfs.FS) { must(t, d.FailReads(find(t, d, "MANIFEST-"), 0, 1)) }, syscall.EIO},
		"unreadable log":      {func(t *testing.T, d *crashfs.FS) { must(t, d.FailReads(find(t, d, ".log"), 0, 1)) }, syscall.EIO},
		"a file in its place": {func(t *testing.T, d *crashfs.FS) {
			must(t, d.Rename("mount/index", "mount/other"))
			f, err := d.Create("mount/index")
			must(t, err)
			must(t, f.Close())
		}, syscall.ENOTDIR},
	} {
		t.Run(what, func(t *testing.T) {
			disk := crashed(t)
			c.damage(t, disk)
			before := listAll(t, disk)
			var x *index.Index
			var err error
			within(t, "open read-only", func() { err = refusesReadOnly(t, disk) })
			if !errors.Is(err, c.want) || before != listAll(t, disk) {
				t.Errorf("read-only: %v, want %v\n%s\n%s", err, c.want, before, listAll(t, disk))
			}
			within(t, "open", func() { x, err = index.Open(optionsOn(disk)) })
			if err == nil {
				x.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, c.want) || errors.Is(err, index.ErrCorrupt) != (c.want == index.ErrCorrupt) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.want == index.ErrNewerFormat && what != "later rows" && before != listAll(t, disk) {
				t.Errorf("what must be left alone was changed:\n%s\n%s", before, listAll(t, disk))
			}
			if errors.Is(err, index.ErrCorrupt) { // moved away, it makes room for a new one
				must(t, disk.Rename("mount/index", "mount/quarantine"))
				x := open(t, optionsOn(disk))
				if _, err := x.Get(hashOf(1)); !errors.Is(err, blob.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
}

// refusesReadOnly opens an index read-only, which must fail, and writes nothing.
func refusesReadOnly(t *testing.T, disk *crashfs.FS) error {
	disk.SetHook(func(op crashfs.Op) error {
		if filepath.Base(op.Path) != "LOCK" {
			t.Errorf("read-only: %v %s", op.Kind, op.Path)
		}
		return nil
	})
	defer disk.SetHook(nil)
	o := optionsOn(disk)
	o.ReadOnly = true
	x, err := index.Open(o)
	if err == nil {
		t.Error("opened read-only")
		x.Close()
	}
	return err
}

// plainPebble opens the index as a database of no particular kind.
func plainPebble(d *crashfs.FS) *pebble.Options {
	return &pebble.Options{
		FS: pebblefs.New(d), FormatMajorVersion: pebble.FormatMajorVersion(index.FormatVersion), Logger: quiet{},
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listAll names the files of the index, but for the lock.
func listAll(t *testing.T, disk *crashfs.FS) string {
	t.Helper()
	names, err := disk.List("mount/index")
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(names, " "), "LOCK ", "")
}

func TestOneOwner(t *testing.T) {
	disk := crashfs.New()
	x := open(t, optionsOn(disk))
	if _, err := index.Open(optionsOn(disk)); !errors.Is(err, index.ErrLocked) || errors.Is(err, index.ErrCorrupt) {
		t.Fatalf("opened twice: %v", err)
	}
	must(t, x.Close())
	must(t, x.Close())
	open(t, optionsOn(disk))
}

// A closed index says so, and nothing else happens.
func TestUseAfterClose(t *testing.T) {
	x := open(t, optionsOn(crashfs.New()))
	fill(t, x, 0, 300)
	c, err := x.Cursor(0)
	must(t, err)
	b := x.NewBatch()
	b.Put(hashOf(400), entryOf(400))
	must(t, x.Close())
	_, errGet := x.Get(hashOf(1))
	_, errCursor := x.Cursor(0)
	_, errSegments := x.Segments()
	_, errTombstones := x.Tombstones(1)
	_, _, errMeta := x.Meta()
	for range 300 {
		if _, ok := c.Next(); !ok {
			break
		}
	}
	for what, err := range map[string]error{
		"get": errGet, "cursor": errCursor, "segments": errSegments, "tombstones": errTombstones, "meta": errMeta,
		"all": x.All(func(blob.Hash, index.Entry) error { return nil }), "commit": b.Commit(true), "sync": x.Sync(), "next": c.Err(),
	} {
		if !errors.Is(err, index.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_ = x.Stats()
}

// What no row can hold is refused, and nothing of its batch is written.
func TestInvalidRows(t *testing.T) {
	x := open(t, optionsOn(crashfs.New()))
	for what, spoil := range map[string]func(*index.Batch){
		"no length":  func(b *index.Batch) { b.Put(hashOf(2), index.Entry{}) },
		"too long":   func(b *index.Batch) { e := entryOf(2); e.Length = blob.MaxSize + 1; b.Put(hashOf(2), e) },
		"kind":       func(b *index.Batch) { e := entryOf(2); e.Kind = 2; b.Put(hashOf(2), e) },
		"offset":     func(b *index.Batch) { e := entryOf(2); e.Offset++; b.Put(hashOf(2), e) },
		"no segment": func(b *index.Batch) { e := entryOf(2); e.Segment = 0; b.Put(hashOf(2), e) },
		"restamped":  func(b *index.Batch) { b.Restamp(hashOf(2), index.Entry{}, 9) },
		"segment 0":  func(b *index.Batch) { b.SetSegment(index.SegmentRow{}) },
		"state":      func(b *index.Batch) { b.SetSegment(index.SegmentRow{ID: 1, State: 4}) },
		"below 0":    func(b *index.Batch) { b.SetSegment(index.SegmentRow{ID: 1, LiveBytes: -1}) },
	} {
		b := x.NewBatch()
		b.Put(hashOf(1), entryOf(1))
		spoil(b)
		if err := b.Commit(true); !errors.Is(err, index.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := x.Get(hashOf(1)); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: a part of the batch was written: %v", what, err)
		}
	}
}

// A read-only opening shows all rows, those of logs too. It writes nothing, and removes nothing that another opening would.
// Where there is no index it says so.
func TestReadOnly(t *testing.T) {
	disk := crashed(t)
	o := optionsOn(disk)
	names := func() string {
		list, err := disk.List(o.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(list, " ")
	}
	left := filepath.Join(o.Dir, "999999.sst") // by a run that was cut short; no manifest names it
	f, err := disk.Create(left)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	before := names()
	disk.SetHook(func(op crashfs.Op) error {
		if filepath.Base(op.Path) != "LOCK" {
			t.Errorf("%v %s", op.Kind, op.Path)
		}
		return nil
	})
	o.ReadOnly = true
	x := open(t, o)
	got := dump(t, x)
	b := x.NewBatch()
	b.Put(hashOf(1), entryOf(1))
	if err := b.Commit(false); err == nil {
		t.Error("a change was taken")
	}
	if err := x.Err(); err != nil {
		t.Errorf("a change that was refused latched %v", err)
	}
	tables, err := x.Tables()
	if err != nil || tables["999999.sst"] || !strings.Contains(before, ".sst") {
		t.Errorf("tables %v, %v; files %s", tables, err, before)
	}
	for name := range tables {
		if !strings.Contains(before, name) {
			t.Errorf("%s holds rows, and there is %s", name, before)
		}
	}
	if len(tables) == 0 {
		t.Error("no table holds rows")
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	disk.SetHook(nil)
	if after := names(); after != before {
		t.Errorf("there was %s, there is %s", before, after)
	}
	if _, err := index.Open(index.Options{FS: o.FS, Dir: "elsewhere/index", ReadOnly: true}); !errors.Is(err, index.ErrNone) {
		t.Errorf("without a folder: %v", err)
	}
	if err := disk.Mkdir("empty"); err != nil {
		t.Fatal(err)
	}
	if _, err := index.Open(index.Options{FS: o.FS, Dir: "empty", ReadOnly: true}); !errors.Is(err, index.ErrNone) {
		t.Errorf("in an empty folder: %v", err)
	}
	o.ReadOnly = false
	if want := dump(t, open(t, o)); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of rows were shown, and there are %d", len(got), len(want))
	}
}
