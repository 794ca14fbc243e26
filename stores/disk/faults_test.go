package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// failingDisk is a sharded store on a disk in memory, some calls of which can be made to fail.
type failingDisk struct {
	*disk.Store
	opts  disk.Options
	fsys  *crashfs.FS
	fault atomic.Pointer[func(crashfs.Op) error]
}

func openFailing(t *testing.T, sync string) *failingDisk {
	t.Helper()
	leaktest.Check(t, "internal/diskfs/crashfs", "cockroachdb/pebble", "index/guardfs", "commitLoop")
	d := &failingDisk{fsys: crashfs.New()}
	d.fsys.SetHook(func(op crashfs.Op) error {
		if f := d.fault.Load(); f != nil {
			return (*f)(op)
		}
		return nil
	})
	d.opts = disk.Options{
		MountPoint: "/m", Mode: disk.ModeSharded, ShardingSize: 2, Sync: sync, IndexCache: 1 << 20, FS: d.fsys,
		Logger: slog.New(slog.DiscardHandler),
	}
	s, err := disk.Open(t.Context(), d.opts)
	if err != nil {
		t.Fatal(err)
	}
	d.Store = s
	walked(t, s)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// fail makes calls of a kind fail whose path has a text in it.
func (d *failingDisk) fail(err error, text string, kinds ...crashfs.Kind) {
	f := func(op crashfs.Op) error {
		for _, k := range kinds {
			if op.Kind == k && strings.Contains(op.Path, text) {
				return err
			}
		}
		return nil
	}
	d.fault.Store(&f)
}

func (d *failingDisk) heal() { d.fault.Store(nil) }

func (d *failingDisk) path(h blob.Hash) string { return "/m/" + h.String()[:2] + "/" + h.String() }

// badBlock makes reads of a blob's file fail from its middle on.
func (d *failingDisk) badBlock(t *testing.T, v blob.Verified) {
	t.Helper()
	if err := d.fsys.FailReads(d.path(v.Hash()), v.Size()/2, math.MaxInt32); err != nil {
		t.Fatal(err)
	}
}

func TestABadBlockUnderAReaderIsAMissForTheNext(t *testing.T) {
	d := openFailing(t, "always")
	v := makeBlob(t, 1, 400_000)
	put(t, d.Store, v)
	wantHit(t, d.Store, v)
	d.badBlock(t, v)
	h, err := d.Get(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.WriteTo(io.Discard); !errors.Is(err, blob.ErrUnavailable) || n >= v.Size() {
		t.Errorf("WriteTo over a bad block: %d, %v", n, err)
	}
	h.Release()
	eventually(t, "a miss", func() bool {
		_, err := read(t, d.Store, v.Hash())
		return errors.Is(err, blob.ErrNotFound)
	})
	if d.Stats().IOErrors["read"] == 0 {
		t.Error("the fault is not counted")
	}
	put(t, d.Store, v) // a file of its own, elsewhere on the disk
	wantHit(t, d.Store, v)
}

func TestABadBlockUnderAnUnprovenFileIsAMiss(t *testing.T) {
	d := openFailing(t, "never")
	v := makeBlob(t, 1, 400_000)
	put(t, d.Store, v)
	d.badBlock(t, v)
	wantMiss(t, d.Store, v.Hash())
	if err := d.fsys.FailReads(d.path(v.Hash()), 0, 0); err != nil {
		t.Fatal(err)
	}
	wantHit(t, d.Store, v) // a fault of the disk says nothing about the bytes: they were kept
}

func TestAFileThatIsCutUnderAReader(t *testing.T) {
	d := openFailing(t, "always")
	v := makeBlob(t, 1, 400_000)
	put(t, d.Store, v)
	h, err := d.Get(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.fsys.Open(d.path(v.Hash()), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(200_000), f.Close()); err != nil {
		t.Fatal(err)
	}
	if n, err := h.WriteTo(io.Discard); !errors.Is(err, blob.ErrCorrupt) || n > 200_000 {
		t.Errorf("WriteTo of a file that was cut: %d, %v", n, err)
	}
	h.Release()
	eventually(t, "a miss", func() bool {
		_, err := read(t, d.Store, v.Hash())
		return errors.Is(err, blob.ErrNotFound)
	})
	put(t, d.Store, v)
	wantHit(t, d.Store, v)
}

func TestAFileThatIsCutWhileItIsSent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, disk.Options{MountPoint: dir, ShardingSize: 2, Sync: "always"})
	v := makeBlob(t, 1, blob.MaxSize)
	put(t, s, v)
	path := filepath.Join(dir, v.Hash().String()[:2], v.Hash().String())
	sink := storetest.TCPSink(t)
	h, err := s.Get(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if n, err := h.SendTo(sink, 0, h.Size()); n != h.Size() || err != nil {
		t.Fatalf("SendTo: %d, %v", n, err)
	}
	if err := os.Truncate(path, blob.MaxSize/2); err != nil {
		t.Fatal(err)
	}
	n, err := h.SendTo(sink, 0, h.Size())
	if n > blob.MaxSize/2 || !errors.Is(err, blob.ErrCorrupt) && !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("SendTo of a file that was cut: %d, %v", n, err)
	}
	eventually(t, "a miss", func() bool {
		_, err := read(t, s, v.Hash())
		return errors.Is(err, blob.ErrNotFound)
	})
}

func TestWhatCannotBeSyncedIsNotKept(t *testing.T) {
	for _, policy := range []string{"always", "interval"} {
		for what, kind := range map[string]crashfs.Kind{"/m/tmp/": crashfs.OpSync, "/m/": crashfs.OpSyncDir} {
			t.Run(policy+" "+kind.String(), func(t *testing.T) {
				d := openFailing(t, policy)
				other := makeBlob(t, 2, 1000)
				put(t, d.Store, other)
				if err := d.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				v := makeBlob(t, 1, 100_000)
				d.fail(syscall.EIO, what, kind)
				err := d.Put(t.Context(), v, blob.KindContent)
				if policy == "always" && !errors.Is(err, blob.ErrUnavailable) {
					t.Errorf("Put: %v, want ErrUnavailable", err)
				}
				if policy == "interval" && err != nil {
					t.Errorf("Put: %v", err)
				}
				eventually(t, "a counted fault and a miss", func() bool {
					_, err := read(t, d.Store, v.Hash())
					return d.Stats().IOErrors["sync"]+d.Stats().IOErrors["write"] > 0 && errors.Is(err, blob.ErrNotFound)
				})
				d.heal()
				if err := d.Flush(t.Context()); policy == "interval" && !errors.Is(err, syscall.EIO) {
					t.Errorf("Flush after a blob was dropped: %v", err)
				}
				if err := d.Flush(t.Context()); err != nil {
					t.Errorf("Flush after that: %v", err)
				}
				wantHit(t, d.Store, other)
			})
		}
	}
}

func TestPutOnAFullOrFailingDisk(t *testing.T) {
	for err, want := range map[error]error{syscall.ENOSPC: blob.ErrFull, syscall.EIO: blob.ErrUnavailable, syscall.EROFS: blob.ErrUnavailable} {
		for _, kind := range []crashfs.Kind{crashfs.OpCreate, crashfs.OpWrite, crashfs.OpRename, crashfs.OpMkdir} {
			t.Run(fmt.Sprint(err, " ", kind), func(t *testing.T) {
				d := openFailing(t, "interval")
				there, v := makeBlob(t, 1, 1000), makeBlob(t, 2, 100_000)
				put(t, d.Store, there)
				d.failOutsideIndex(err, kind)
				if got := d.Put(t.Context(), v, blob.KindContent); !errors.Is(got, want) || !errors.Is(got, err) {
					t.Errorf("Put: %v, want %v", got, want)
				}
				wantHit(t, d.Store, there)
				wantMiss(t, d.Store, v.Hash())
				d.heal()
				put(t, d.Store, v)
				wantHit(t, d.Store, v)
				names, err := d.fsys.List("/m/tmp")
				if err != nil || len(names) > 0 {
					t.Errorf("left in tmp: %v, %v", names, err)
				}
				if st := d.Stats(); st.Blobs != 2 || st.PutsInFlight != 0 {
					t.Errorf("%d blobs, %d puts in flight", st.Blobs, st.PutsInFlight)
				}
			})
		}
	}
}

// failOutsideIndex makes calls of a kind fail but for those of the index.
func (d *failingDisk) failOutsideIndex(err error, kind crashfs.Kind) {
	f := func(op crashfs.Op) error {
		if op.Kind == kind && !strings.Contains(op.Path, ".prism") {
			return err
		}
		return nil
	}
	d.fault.Store(&f)
}

func TestAFailedIndexEndsNothing(t *testing.T) {
	for _, kind := range []crashfs.Kind{crashfs.OpWrite, crashfs.OpSync} {
		t.Run(kind.String(), func(t *testing.T) {
			d := openFailing(t, "interval")
			there, v := makeBlob(t, 1, 100_000), makeBlob(t, 2, 100_000)
			put(t, d.Store, there)
			if err := d.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.fail(syscall.EIO, ".prism/index", kind)
			var wg sync.WaitGroup
			for i := range 8 { // all of them come back, whatever they say
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					for n := range uint64(20) {
						_ = d.Put(ctx, makeBlob(t, 100+n*8+uint64(i), 3000), blob.KindContent)
						_ = d.Delete(ctx, makeBlob(t, 100+n, 3000).Hash())
					}
				})
			}
			wg.Wait()
			eventually(t, "the failure to show", func() bool {
				_ = d.Flush(t.Context())
				return d.Stats().IndexFailed
			})
			if err := d.Put(t.Context(), v, blob.KindContent); !errors.Is(err, blob.ErrUnavailable) {
				t.Errorf("Put: %v, want ErrUnavailable", err)
			}
			wantHit(t, d.Store, there)
			d.heal() // too late for this run
			wantHit(t, d.Store, there)
			began := time.Now()
			_ = d.Close()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
			again, err := disk.Open(t.Context(), d.opts)
			if err != nil {
				t.Fatal(err)
			}
			walked(t, again)
			wantHit(t, again, there)
			put(t, again, v)
			wantHit(t, again, v)
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
