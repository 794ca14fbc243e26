package guardfs_test

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/OdyseeTeam/prism/index/guardfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// disk is a file system whose write-side calls fail while broken is set.
type disk struct {
	*crashfs.FS
	broken atomic.Bool
}

func newDisk() *disk {
	d := &disk{FS: crashfs.New()}
	d.SetHook(func(crashfs.Op) error {
		if d.broken.Load() {
			return syscall.EIO
		}
		return nil
	})
	return d
}

// guarded gives a guard over a disk, with an open file and the folder it is in.
func guarded(t *testing.T) (g *guardfs.FS, d *disk, file, dir vfs.File) {
	t.Helper()
	d = newDisk()
	g = guardfs.New(pebblefs.New(d))
	file, err := g.Create("old", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if dir, err = g.OpenDir("/"); err != nil {
		t.Fatal(err)
	}
	return g, d, file, dir
}

// asleep is how many goroutines are parked.
func asleep() int {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return strings.Count(string(buf[:n]), "\n"+guardfs.ParkFrame+"(")
		}
		buf = make([]byte, 2*len(buf))
	}
}

// wantParked demands that f never returns: its goroutine goes to sleep.
func wantParked(t *testing.T, what string, f func()) {
	t.Helper()
	before := asleep()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	deadline := time.After(10 * time.Second)
	for asleep() == before {
		select {
		case <-done:
			t.Fatalf("%s returned", what)
		case <-deadline:
			t.Fatalf("%s neither returned nor parked", what)
		default:
			runtime.Gosched()
		}
	}
}

// writes are the calls that a guard watches.
func writes(g *guardfs.FS, file, dir vfs.File) map[string]func() error {
	return map[string]func() error{
		"create": func() error { _, err := g.Create("new", vfs.WriteCategoryUnspecified); return err },
		"open to write": func() error {
			_, err := g.OpenReadWrite("new", vfs.WriteCategoryUnspecified)
			return err
		},
		"link":   func() error { return g.Link("old", "new") },
		"rename": func() error { return g.Rename("old", "new") },
		"reuse": func() error {
			_, err := g.ReuseForWrite("old", "new", vfs.WriteCategoryUnspecified)
			return err
		},
		"mkdir":     func() error { return g.MkdirAll("new", 0o755) },
		"write":     func() error { _, err := file.Write([]byte("more")); return err },
		"write at":  func() error { _, err := file.WriteAt([]byte("more"), 9); return err },
		"sync":      func() error { return file.Sync() },
		"sync data": func() error { return file.SyncData() },
		"sync dir":  func() error { return dir.Sync() },
	}
}

func isFailed(g *guardfs.FS) bool {
	select {
	case <-g.Failed():
		return true
	default:
		return false
	}
}

// Each watched call latches by itself when it fails, and parks; afterwards every watched call parks, even though the
// disk is fine again, and reads go on.
func TestEveryFailedWriteLatches(t *testing.T) {
	g, _, file, dir := guarded(t)
	for what := range writes(g, file, dir) {
		t.Run(what, func(t *testing.T) {
			g, d, file, dir := guarded(t)
			d.broken.Store(true)
			wantParked(t, what, func() { _ = writes(g, file, dir)[what]() })
			d.broken.Store(false)
			<-g.Parked()
			var failure *guardfs.WriteError
			if !isFailed(g) || !errors.As(g.Err(), &failure) {
				t.Fatalf("error %v is not latched", g.Err())
			}
			if what != "link" && !errors.Is(failure, syscall.EIO) { // links are not supported there at all
				t.Fatalf("latched %v", failure)
			}
			ops := d.Ops()
			for other, f := range writes(g, file, dir) {
				wantParked(t, other+" after the failure", func() { _ = f() })
			}
			wantParked(t, "remove after the failure", func() { _ = g.Remove("old") })
			wantParked(t, "lock after the failure", func() { _, _ = g.Lock("new") })
			if d.Ops() != ops {
				t.Error("something was written after the failure")
			}
			wantReadable(t, g)
		})
	}
}

// wantReadable reads in every way.
func wantReadable(t *testing.T, g *guardfs.FS) {
	t.Helper()
	f, err := g.Open("old")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil || string(text) != "text" {
		t.Fatalf("read %q, %v", text, err)
	}
	var one [1]byte
	if _, err := f.ReadAt(one[:], 1); err != nil || one[0] != 'e' {
		t.Fatalf("read %q at 1, %v", one, err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != 4 {
		t.Fatalf("stat %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := g.List("/"); err != nil || len(names) != 1 {
		t.Fatalf("list %v, %v", names, err)
	}
	if _, err := g.Stat("old"); err != nil {
		t.Fatal(err)
	}
}

// What reads, and what removes, has its error to itself.
func TestOtherErrorsAreTheCallers(t *testing.T) {
	g, d, _, _ := guarded(t)
	if _, err := g.Open("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := g.Stat("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := g.Remove("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	d.broken.Store(true)
	if err := g.Remove("old"); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := d.FailReads("old", 0, 4); err != nil {
		t.Fatal(err)
	}
	f, err := g.Open("old")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 4), 0); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if isFailed(g) || g.Err() != nil {
		t.Errorf("latched %v", g.Err())
	}
}

// badClose is a file system on which no file can be closed.
type badClose struct{ vfs.FS }

func (b badClose) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := b.FS.Create(name, c)
	return badFile{f}, err
}

func (b badClose) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.Open(name, opts...)
	return badFile{f}, err
}

type badFile struct{ vfs.File }

func (badFile) Close() error { return syscall.EIO }

// Closing a file that was written can report that its bytes were lost.
func TestFailedClose(t *testing.T) {
	g := guardfs.New(badClose{vfs.NewMem()})
	file, err := g.Create("file", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	read, err := g.Open("file")
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Close(); !errors.Is(err, syscall.EIO) || isFailed(g) {
		t.Fatalf("closing a file that was read: %v, latched %v", err, g.Err())
	}
	wantParked(t, "close", func() { _ = file.Close() })
	if !errors.Is(g.Err(), syscall.EIO) {
		t.Errorf("latched %v", g.Err())
	}
}

// The owner can latch too: once, without blocking.
func TestFail(t *testing.T) {
	g, _, file, _ := guarded(t)
	first := errors.New("first")
	g.Fail(first)
	g.Fail(errors.New("second"))
	if !errors.Is(g.Err(), first) {
		t.Errorf("latched %v", g.Err())
	}
	wantParked(t, "write", func() { _, _ = file.Write([]byte("x")) })
	wantParked(t, "halt", func() { g.Halt(errors.New("third")) })
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

// A severed guard parks all calls and closes all that was open, but not under a call that is still at work.
func TestSever(t *testing.T) {
	d := newDisk()
	g := guardfs.New(pebblefs.New(d))
	if _, err := g.Lock("lock"); err != nil {
		t.Fatal(err)
	}
	file, err := g.Create("file", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	entered, release, synced := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	d.SetHook(func(crashfs.Op) error {
		close(entered)
		<-release
		return nil
	})
	go func() { synced <- file.Sync() }()
	<-entered
	d.SetHook(nil)
	g.Fail(errors.New("over"))
	empty := g.Sever()
	wantParked(t, "open", func() { _, _ = g.Open("file") })
	wantParked(t, "read", func() { _, _ = file.ReadAt(make([]byte, 1), 0) })
	select {
	case <-empty:
		t.Fatal("severed while a sync was under way")
	default:
	}
	if _, err := pebblefs.New(d).Lock("lock"); err == nil {
		t.Fatal("the lock was given back while a sync was under way")
	}
	close(release)
	if err := <-synced; err != nil {
		t.Fatal(err)
	}
	<-empty
	if _, err := pebblefs.New(d).Lock("lock"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Errorf("closing what Sever closed: %v", err)
	}
}

func TestUsage(t *testing.T) {
	d := newDisk()
	g := guardfs.New(pebblefs.New(d))
	if err := g.Adopt("/index"); err != nil {
		t.Fatalf("a folder that is not there: %v", err)
	}
	want := func(total, log, tables int64) {
		t.Helper()
		if got := g.Usage(); got != (guardfs.Usage{Total: total, Log: log, Tables: tables}) {
			t.Fatalf("got %+v, want %d %d %d", got, total, log, tables)
		}
	}
	create := func(name string, n int) vfs.File {
		t.Helper()
		f, err := g.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		return f
	}
	if err := g.MkdirAll("/index", 0o755); err != nil {
		t.Fatal(err)
	}
	want(0, 0, 0)
	log := create("/index/1.log", 4097)
	create("/index/2.sst", 4096)
	create("/index/MANIFEST-3", 1)
	want(16384, 8192, 4096)
	if _, err := log.Write(make([]byte, 4095)); err != nil {
		t.Fatal(err)
	}
	want(16384, 8192, 4096)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := g.ReuseForWrite("/index/1.log", "/index/4.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	want(16384, 8192, 4096)
	if err := g.Rename("/index/MANIFEST-3", "/index/5.sst"); err != nil {
		t.Fatal(err)
	}
	want(16384, 8192, 8192)
	if err := g.Remove("/index/2.sst"); err != nil {
		t.Fatal(err)
	}
	want(12288, 8192, 4096)

	g = guardfs.New(pebblefs.New(d))
	if err := g.Adopt("/index"); err != nil {
		t.Fatal(err)
	}
	want(12288, 8192, 4096)
	create("/index/5.sst", 5000) // in the place of another
	want(16384, 8192, 8192)
}

// Space is asked for in passing; what does not know it is no failure.
func TestDiskUsage(t *testing.T) {
	g, d, _, _ := guarded(t)
	if _, err := g.GetDiskUsage("/"); err != nil {
		t.Fatal(err)
	}
	d.Freeze()
	if _, err := g.GetDiskUsage("/missing"); !errors.Is(err, vfs.ErrUnsupported) {
		t.Errorf("error %v reaches Pebble", err)
	}
	if isFailed(g) {
		t.Error("latched")
	}
}
