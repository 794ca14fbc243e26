package crashtest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sampleEvery is how often a watch looks.
const sampleEvery = 50 * time.Millisecond

// watch samples the space that a folder takes.
type watch struct {
	dir    string
	before int64 // bytes that the file system called used when the watch began; -1: it is not asked
	stop   chan struct{}
	done   sync.WaitGroup
	once   sync.Once

	mu      sync.Mutex
	samples int
	slowest time.Duration // between two samples
	du      int64         // the most that the files of the folder took
	used    int64         // the most that the file system called used, beyond before
	err     error
}

// startWatch begins to sample what dir takes. With own set the file system has no other user, and is asked as well.
func startWatch(t *testing.T, dir string, own bool) *watch {
	t.Helper()
	w := &watch{dir: dir, before: -1, stop: make(chan struct{})}
	if own {
		used, err := usedBytes(dir)
		if err != nil {
			t.Fatal(err)
		}
		w.before = used
	}
	w.done.Go(w.loop)
	t.Cleanup(w.end)
	return w
}

// end stops the sampling.
func (w *watch) end() {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
}

func (w *watch) loop() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		w.sample(time.Since(last))
		last = time.Now()
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
	}
}

func (w *watch) sample(since time.Duration) {
	// The file system first: what is removed between the two looks is then seen by one of them at least.
	var used int64
	var err error
	if w.before >= 0 {
		used, err = usedBytes(w.dir)
		used -= w.before
	}
	du, duErr := diskUsage(w.dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples++
	w.slowest = max(w.slowest, since)
	w.used, w.du = max(w.used, used), max(w.du, du)
	w.err = errors.Join(w.err, err, duErr)
}

// check ends the watch and holds what it saw to the cap.
func (w *watch) check(t *testing.T, limit int64) {
	t.Helper()
	w.end()
	if w.err != nil {
		t.Fatal(w.err)
	}
	t.Logf("space: the files took at most %.1f MiB of %.1f (%d samples, at most %v apart)", mib(w.du), mib(limit), w.samples, w.slowest.Round(time.Millisecond))
	if w.du > limit {
		t.Errorf("the files took %d bytes, %d more than max_size", w.du, w.du-limit)
	}
	if w.before < 0 {
		return
	}
	t.Logf("space: the file system called at most %.1f MiB used", mib(w.used))
	if w.used > limit {
		t.Errorf("the file system called %d bytes used, %d more than max_size", w.used, w.used-limit)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// diskUsage is what du says: the blocks of everything beneath dir, in bytes. What goes away while it looks counts as
// gone.
func diskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		total += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return total, err
}

// usedBytes is what the file system calls used.
func usedBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize, nil
}

// TestWatch: a file that was there for a moment is seen, and so is what it took.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	w := startWatch(t, dir, false)
	const size = 3 << 20
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		w.mu.Lock()
		du := w.du
		w.mu.Unlock()
		if du >= size {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes were seen of a file of %d", du, size)
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.check(t, 2*size)
}
