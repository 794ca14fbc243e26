package index_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/index/guardfs"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 takes another every time")

// seed is the seed to use, logged with the command that repeats the test.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := *seedFlag
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("repeat with: go test ./index -run '^%s$' -seed %d", t.Name(), s)
	return s
}

// A closed index leaves nothing behind.
func TestCloseLeavesNothing(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	o := index.Options{FS: pebblefs.New(diskfs.OS()), Dir: filepath.Join(t.TempDir(), "index"), MemTableBytes: 64 << 10}
	for range 2 {
		x := open(t, o)
		fill(t, x, 0, 3000)
		_ = x.Stats()
		must(t, x.Close())
	}
	if _, err := index.Open(index.Options{FS: o.FS, Dir: "/dev/null/index"}); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
}

// breakable is a real file system on which nothing can be made, written or synced while it is broken.
type breakable struct {
	diskfs.FS
	broken *atomic.Bool
}

func (b breakable) check() error {
	if b.broken.Load() {
		return syscall.EIO
	}
	return nil
}

func (b breakable) Create(name string) (diskfs.File, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	f, err := b.FS.Create(name)
	return breakableFile{f, b}, err
}

func (b breakable) Open(name string, write bool) (diskfs.File, error) {
	f, err := b.FS.Open(name, write)
	return breakableFile{f, b}, err
}

func (b breakable) Rename(oldname, newname string) error {
	return cmp.Or(b.check(), b.FS.Rename(oldname, newname))
}

func (b breakable) SyncDir(dir string) error { return cmp.Or(b.check(), b.FS.SyncDir(dir)) }

type breakableFile struct {
	diskfs.File
	fs breakable
}

func (f breakableFile) Sync() error { return cmp.Or(f.fs.check(), f.File.Sync()) }

func (f breakableFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// A failed index leaves goroutines that sleep, and neither descriptors nor the lock.
func TestFailureLeavesNoDescriptors(t *testing.T) {
	leaktest.Check(t, guardfs.ParkFrame, "cockroachdb/pebble")
	leaktest.FDs(t)
	var broken atomic.Bool
	disk := pebblefs.New(breakable{diskfs.OS(), &broken})
	o := index.Options{FS: disk, Dir: filepath.Join(t.TempDir(), "index"), MemTableBytes: 64 << 10}
	for range 3 {
		x := open(t, o)
		fill(t, x, 0, 3000)
		broken.Store(true)
		within(t, "commit", func() {
			b := x.NewBatch()
			b.SetMeta(index.Meta{})
			if err := commit(x, b, true); !errors.Is(err, syscall.EIO) {
				t.Error(err)
			}
		})
		within(t, "close", func() { _ = x.Close() })
		broken.Store(false)
	}
	broken.Store(true)
	within(t, "open", func() {
		if _, err := index.Open(o); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	})
	broken.Store(false)
	must(t, open(t, o).Close())
}

// Everything at once, and a Close in the midst of it: what was in time is right, and what was late is told so.
func TestConcurrentUse(t *testing.T) {
	const n = 4000
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails=%v", fails), func(t *testing.T) {
			disk := crashfs.New()
			x := open(t, optionsOn(disk))
			fill(t, x, 0, n)
			var users sync.WaitGroup
			var calls atomic.Int64
			use := func(f func(i int) error) {
				users.Go(func() {
					for i := 0; ; i++ {
						err := f(i)
						if errors.Is(err, index.ErrClosed) || fails && errors.Is(err, index.ErrFailed) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
						calls.Add(1)
					}
				})
			}
			get := func(i int) error {
				e, err := x.Get(hashOf(i % n))
				if err == nil && e != entryOf(i%n) {
					return fmt.Errorf("blob %d is %+v", i%n, e)
				}
				return err
			}
			use(get)
			use(get)
			use(func(i int) error {
				b := x.NewBatch()
				b.Put(hashOf(n+i), entryOf(n+i))
				return commit(x, b, i%10 == 0)
			})
			use(func(int) error {
				c, err := x.Cursor(0)
				if err != nil {
					return err
				}
				defer c.Close()
				for _, ok := c.Next(); ok; _, ok = c.Next() {
				}
				return c.Err()
			})
			use(func(int) error {
				_ = x.Stats()
				return x.All(func(blob.Hash, index.Entry) error { return nil })
			})
			for calls.Load() < 2000 && !t.Failed() {
				_ = x.Err()
			}
			if fails {
				disk.SetHook(func(op crashfs.Op) error {
					if op.Kind == crashfs.OpSync {
						return syscall.EIO
					}
					return nil
				})
				within(t, "failing", func() { <-x.Failed() })
			}
			within(t, "close", func() {
				if err := x.Close(); (err != nil) != fails {
					t.Error(err)
				}
			})
			within(t, "the users' end", users.Wait)
		})
	}
}
