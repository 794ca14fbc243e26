package crashfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

var errInjected = errors.New("injected")

// everyCall makes one write-side call of each kind, and stops at the first error.
func everyCall(f diskfs.FS) error {
	file, err := f.Create("/a")
	if err != nil {
		return err
	}
	defer file.Close()
	steps := []func() error{
		func() error { return file.Preallocate(0, 4*block) },
		func() error { _, err := file.WriteAt(fill('a', 2*block), 0); return err },
		file.Sync,
		func() error { return file.Punch(0, block) },
		func() error { return file.Truncate(3 * block) },
		func() error { return f.Mkdir("/d") },
		func() error { return f.Rename("/a", "/d/b") },
		func() error { return f.SyncDir("/d") },
		func() error { return f.Remove("/d/b") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestHookSeesEveryCall(t *testing.T) {
	f := crashfs.New()
	var ops []crashfs.Op
	f.SetHook(func(op crashfs.Op) error { ops = append(ops, op); return nil })
	must(t, everyCall(f))
	seen := map[crashfs.Kind]bool{}
	for i, op := range ops {
		seen[op.Kind] = true
		if op.N != i+1 {
			t.Errorf("call %d has number %d", i+1, op.N)
		}
	}
	for _, k := range crashfs.Kinds() {
		if !seen[k] {
			t.Errorf("no %s among %v", k, ops)
		}
	}
	if f.Ops() != len(ops) {
		t.Errorf("Ops is %d after %d calls", f.Ops(), len(ops))
	}
	if want := (crashfs.Op{Kind: crashfs.OpWrite, N: 3, Path: "/a", Off: 0, Len: 2 * block}); ops[2] != want {
		t.Errorf("the write is %+v, want %+v", ops[2], want)
	}
}

// Each call in turn is refused; it has then done nothing, and its caller sees the error.
func TestHookRefusesEachCall(t *testing.T) {
	whole := crashfs.New()
	must(t, everyCall(whole))
	for n := 1; n <= whole.Ops(); n++ {
		f := crashfs.New()
		var before map[string]string
		f.SetHook(func(op crashfs.Op) error {
			if op.N < n {
				return nil
			}
			before = tree(t, f, "/")
			return errInjected
		})
		if err := everyCall(f); !errors.Is(err, errInjected) {
			t.Fatalf("call %d: %v, want the injected error", n, err)
		}
		if !maps.Equal(tree(t, f, "/"), before) {
			t.Errorf("call %d was refused and did something", n)
		}
	}
}

// The power goes before the n-th call: the cut is taken from within the hook, and nothing happens afterwards.
func TestPowerOffAtEachCall(t *testing.T) {
	whole := crashfs.New()
	must(t, everyCall(whole))
	for n := 1; n <= whole.Ops(); n++ {
		f := crashfs.New()
		var atCut map[string]string
		f.SetHook(func(op crashfs.Op) error {
			if op.N == n {
				f.Freeze()
				after, _ := f.Cut(uint64(n))
				atCut = tree(t, after, "/")
			}
			return nil
		})
		if err := everyCall(f); !errors.Is(err, crashfs.ErrPowerOff) {
			t.Fatalf("call %d: %v, want ErrPowerOff", n, err)
		}
		after, _ := f.Cut(uint64(n))
		if !maps.Equal(tree(t, after, "/"), atCut) {
			t.Errorf("call %d: something happened after the power went", n)
		}
	}
}

func TestFreezeRefusesEverything(t *testing.T) {
	f := crashfs.New()
	file := create(t, f, "a")
	l, err := f.Lock("l", "me")
	must(t, err)
	f.Freeze()
	_, readErr := file.ReadAt(make([]byte, 1), 0)
	_, sizeErr := file.Size()
	_, openErr := f.Open("a", false)
	_, listErr := f.List("/")
	_, statErr := f.Stat("a")
	_, usageErr := f.Usage("/")
	_, lockErr := f.Lock("l", "me")
	for what, err := range map[string]error{
		"ReadAt": readErr, "Size": sizeErr, "Open": openErr, "List": listErr, "Stat": statErr, "Usage": usageErr,
		"Lock": lockErr, "Sync": file.Sync(), "Mkdir": f.Mkdir("d"), "Close": file.Close(), "unlock": l.Close(),
	} {
		if !errors.Is(err, crashfs.ErrPowerOff) {
			t.Errorf("%s: %v, want ErrPowerOff", what, err)
		}
	}
}

func TestCapacity(t *testing.T) {
	f := crashfs.New()
	f.SetCapacity(10*block + 5)
	file := create(t, f, "a")
	if n, err := file.WriteAt(fill('a', 12*block), 0); n != 10*block || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write of 12 blocks: %d, %v; want 10 blocks and ENOSPC", n, err)
	}
	writeAt(t, file, fill('b', block), 3*block) // over what is there
	if _, err := f.Create("b"); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Create on a full disk: %v, want ENOSPC", err)
	}
	must(t, file.Punch(0, 4*block))
	want := diskfs.Usage{Total: 10 * block, Free: 4 * block, Used: 6 * block}
	if u, err := f.Usage("/"); err != nil || u != want {
		t.Fatalf("usage %+v, %v; want %+v", u, err, want)
	}
	b := create(t, f, "b")
	if err := b.Preallocate(0, 5*block); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Preallocate beyond the capacity: %v, want ENOSPC", err)
	}
	if n, err := b.Size(); n != 0 || err != nil {
		t.Fatalf("a refused Preallocate leaves %d bytes, %v", n, err)
	}
	must(t, b.Preallocate(0, 4*block))

	// A file that is open keeps its blocks when its name goes; a cut gives them back.
	must(t, f.Remove("a"))
	must(t, f.SyncDir("/"))
	if u, _ := f.Usage("/"); u.Free != 0 {
		t.Errorf("%d bytes free while a removed file is open", u.Free)
	}
	must(t, b.Sync())
	after, _ := f.Cut(1)
	if u, err := after.Usage("/"); err != nil || u.Used != 4*block || u.Total != 10*block {
		t.Errorf("after a cut: %+v, %v", u, err)
	}
	must(t, file.Close())
	if u, _ := f.Usage("/"); u.Used != 4*block {
		t.Errorf("%d bytes used after the last Close", u.Used)
	}
}

func TestFailReads(t *testing.T) {
	f := crashfs.New()
	file := create(t, f, "a")
	writeAt(t, file, fill('a', 8*block), 0)
	must(t, f.FailReads("a", 4*block+10, 20))
	must(t, f.Rename("a", "b"))
	buf := make([]byte, 8*block)
	if n, err := file.ReadAt(buf, block); n != 3*block || !errors.Is(err, syscall.EIO) {
		t.Errorf("read into the bad block: %d, %v; want 3 blocks and EIO", n, err)
	}
	if n, err := file.ReadAt(buf[:2*block], 5*block); n != 2*block || err != nil {
		t.Errorf("read behind it: %d, %v", n, err)
	}
	if n, err := file.ReadAt(buf, 9*block); n != 0 || err != io.EOF {
		t.Errorf("read beyond the end: %d, %v", n, err)
	}
	must(t, f.FailReads("b", 0, 0))
	if n, err := file.ReadAt(buf, 0); n != 8*block || err != nil {
		t.Errorf("read of the healed file: %d, %v", n, err)
	}
}

// everyLook makes one read-side call of each kind, and gives what the first that fails returns.
func everyLook(f diskfs.FS) error {
	file, err := f.Open("a", true)
	if err != nil {
		return err
	}
	unsupported := func(err error) error {
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		return err
	}
	for _, step := range []func() error{
		func() error { _, err := file.ReadAt(make([]byte, block), 0); return err },
		func() error { _, err := file.SeekData(0); return err },
		func() error { _, err := file.SeekHole(0); return err },
		func() error { _, err := file.Size(); return err },
		func() error { _, err := file.Allocated(); return err },
		func() error { _, err := f.Stat("a"); return err },
		func() error { _, err := f.List("/"); return err },
		func() error { _, err := f.Usage("/"); return err },
		func() error { _, err := file.Map(block); return unsupported(err) },
		func() error { _, err := file.Cached(0, block); return unsupported(err) },
		file.Close,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// The hook of the other side sees each read-side call, refuses each, and sees nothing that writes.
func TestReadHook(t *testing.T) {
	f := crashfs.New()
	writeAt(t, create(t, f, "a"), fill('a', block), 0)
	writes := f.Ops()
	seen := map[crashfs.Kind]int{}
	calls := 0
	f.SetReadHook(func(op crashfs.Op) error {
		seen[op.Kind]++
		if calls++; op.N != calls {
			t.Errorf("call %d has number %d", calls, op.N)
		}
		return nil
	})
	must(t, everyLook(f))
	for _, k := range crashfs.ReadKinds() {
		if seen[k] == 0 {
			t.Errorf("no %v was seen", k)
		}
	}
	if f.Ops() != writes {
		t.Error("looks count as write-side calls")
	}
	all := calls
	for n := 1; n <= all; n++ {
		left := n
		f.SetReadHook(func(crashfs.Op) error {
			if left--; left == 0 {
				return errInjected
			}
			return nil
		})
		if err := everyLook(f); !errors.Is(err, errInjected) {
			t.Errorf("call %d: %v, want the injected error", n, err)
		}
	}
	f.SetReadHook(func(crashfs.Op) error { t.Error("a write is seen"); return nil })
	must(t, f.Mkdir("d"))
}

// A call that is cut short does its first half.
func TestShortCalls(t *testing.T) {
	f := crashfs.New()
	file := create(t, f, "a")
	f.SetHook(func(op crashfs.Op) error { return crashfs.Short{Err: syscall.ENOSPC} })
	if n, err := file.WriteAt(fill('a', 2*block), 0); n != block || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("short write: %d, %v", n, err)
	}
	if err := file.Truncate(0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("truncate: %v", err)
	}
	f.SetHook(nil)
	if got := content(t, f, "a"); !bytes.Equal(got, fill('a', block)) {
		t.Errorf("the file holds %d bytes, want the first half", len(got))
	}
	for _, end := range []error{io.EOF, syscall.EIO} {
		f.SetReadHook(func(crashfs.Op) error { return crashfs.Short{Err: end} })
		buf := make([]byte, block)
		n, err := file.ReadAt(buf, 0)
		if n != block/2 || !errors.Is(err, end) || end == io.EOF && err != io.EOF || !bytes.Equal(buf[:n], fill('a', n)) {
			t.Errorf("short read: %d, %v", n, err)
		}
	}
}

func TestDiscard(t *testing.T) {
	f := crashfs.New()
	file := create(t, f, "a")
	writeAt(t, file, fill('a', block), 0)
	f.Discard()
	if _, err := file.ReadAt(make([]byte, 1), 0); !errors.Is(err, crashfs.ErrPowerOff) {
		t.Error(err)
	}
	if err := file.Close(); !errors.Is(err, crashfs.ErrPowerOff) {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	f := crashfs.New()
	l, err := f.Lock("l", "pid 17")
	must(t, err)
	_, err = f.Lock("l", "pid 18")
	var locked *diskfs.LockedError
	if !errors.As(err, &locked) || locked.Owner != "pid 17" || locked.Path != "l" {
		t.Fatalf("second Lock: %v, want the owner pid 17", err)
	}
	must(t, f.SyncDir("/"))
	after, _ := f.Cut(1)
	if _, err := after.Lock("l", "pid 19"); err != nil {
		t.Errorf("Lock in a clone: %v", err)
	}
	must(t, l.Close())
	if _, err = f.Lock("l", "18"); err != nil {
		t.Fatal(err)
	}
	if got := string(content(t, f, "l")); got != "18" {
		t.Errorf("the lock file holds %q", got)
	}
}

func TestWhatThereIsNot(t *testing.T) {
	file := create(t, crashfs.New(), "a")
	if _, err := file.Map(1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Map: %v", err)
	}
	if _, err := file.Cached(0, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Cached: %v", err)
	}
	must(t, file.Close())
	if err := file.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestSaveAndLoad(t *testing.T) {
	f := crashfs.New()
	f.SetCapacity(1 << 30)
	history(t, f, rand.New(rand.NewPCG(5, 5)), 300, nil)
	must(t, f.Mkdir("dir"))
	big := create(t, f, "dir/sparse")
	must(t, big.Truncate(1<<40))
	must(t, big.Preallocate(7*block, 3*block))
	writeAt(t, big, fill('x', 10), 8*block)
	after, _ := f.Cut(2)

	dir := filepath.Join(t.TempDir(), "image")
	must(t, after.Save(dir))
	back, err := crashfs.Load(dir)
	must(t, err)
	compareSaved(t, after, back, "/")
	u1, err1 := after.Usage("/")
	u2, err2 := back.Usage("/")
	if u1 != u2 || err1 != nil || err2 != nil {
		t.Errorf("usage %+v and %+v", u1, u2)
	}
	if _, report := back.Cut(1); report.Lost() {
		t.Errorf("what was loaded is not durable: %s", report)
	}
	must(t, os.WriteFile(filepath.Join(dir, ".crashfs.json"), []byte(`{"capacity":9,"unwritten":{"/a":[1]}}`), 0o600))
	if _, err := crashfs.Load(dir); err == nil {
		t.Error("a damaged image is loaded")
	}
}

// compareSaved compares two file systems without reading a sparse terabyte.
func compareSaved(t *testing.T, a, b diskfs.FS, dir string) {
	t.Helper()
	names, err := a.List(dir)
	must(t, err)
	for _, base := range names {
		name := filepath.Join(dir, base)
		info, err := a.Stat(name)
		must(t, err)
		if info.IsDir() {
			compareSaved(t, a, b, name)
			continue
		}
		other, err := b.Stat(name)
		must(t, err)
		space1, data1 := shape(t, a, name)
		space2, data2 := shape(t, b, name)
		if info.Size() != other.Size() || space1 != space2 || fmt.Sprint(data1) != fmt.Sprint(data2) {
			t.Errorf("%s: %d bytes, %d reserved, data %v; loaded %d, %d, %v", name,
				info.Size(), space1, data1, other.Size(), space2, data2)
		}
		if info.Size() < 1<<20 && string(content(t, a, name)) != string(content(t, b, name)) {
			t.Errorf("%s: other bytes", name)
		}
	}
}

// Calls, cuts and looks run side by side; the race detector judges, and files end as their only writers left them.
func TestConcurrentUse(t *testing.T) {
	f := crashfs.New()
	var wg sync.WaitGroup
	for w := range 4 {
		name := fmt.Sprint("f", w)
		file := create(t, f, name)
		wg.Go(func() {
			for i := range 100 {
				if _, err := file.WriteAt(pattern(uint64(i+1), 3*block), int64(i%5)*block); err != nil {
					t.Error(err)
				}
				if err := errors.Join(file.Sync(), f.SyncDir("/")); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			buf := make([]byte, 4*block)
			for i := range 50 {
				if _, err := file.ReadAt(buf, 0); err != nil && err != io.EOF {
					t.Error(err)
				}
				if after, _ := f.Cut(uint64(i)); after == nil {
					t.Error("no clone")
				}
			}
		})
	}
	wg.Wait()
	for w := range 4 {
		if got := content(t, f, fmt.Sprint("f", w)); string(got[4*block:]) != string(pattern(100, 3*block)) {
			t.Errorf("file %d ends with other bytes", w)
		}
	}
}
