package crashtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/process"
)

const (
	cutDisk     = 512 << 20 // bytes of the file system; mkfs.xfs wants 300 MiB
	cutSegment  = 8 << 20
	cutMaxSize  = 72 << 20 // where the engine is to evict
	cutBlobs    = 160
	cutInterval = 50 * time.Millisecond // what sync: interval promises

	shortestRun  = 20 * time.Millisecond
	longestRun   = 900 * time.Millisecond
	intervalRun  = 3 * time.Second       // with sync: interval, so that some blobs are older than settled
	longestStart = 30 * time.Millisecond // of those that are cut while they open
	closingTime  = 30 * time.Second
)

// TestPowerCuts shuts real file systems down under an engine, as a power cut does: what was not written to the device by
// then never is. It then mounts them again, and holds what is there to what the engine had acknowledged.
func TestPowerCuts(t *testing.T) {
	if *powerCuts == 0 {
		t.Skip("give -power-cuts N, as root: make crash does")
	}
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			c := newCutter(t, kind, seed(t))
			for n := range *powerCuts {
				c.cycle(n, n == *powerCuts-1)
				if t.Failed() {
					return
				}
			}
			c.report()
		})
	}
}

// cutter cuts the power of one file system again and again. The mount on it goes on from one cut to the next.
type cutter struct {
	t        *testing.T
	kind     string
	disk, at string
	rng      *rand.Rand
	source   blobs
	blobs    []blob.Verified
	ledger   *ledger

	cuts                      map[string]int // by policy
	opening, evicting, closed int            // cuts of these kinds
	checks, kept, dropped     int
	verdict                   enginetest.Verdict
}

func newCutter(t *testing.T, kind string, seed uint64) *cutter {
	t.Helper()
	c := &cutter{
		t: t, kind: kind, rng: rand.New(rand.NewPCG(seed, 3)), source: blobs{seed: seed, full: 0.1},
		ledger: newLedger(), cuts: map[string]int{},
	}
	for i := range cutBlobs {
		c.blobs = append(c.blobs, c.source.verified(i))
	}
	c.disk = makeDisk(t, kind, cutDisk)
	c.at = filepath.Join(filepath.Dir(c.disk), "mnt")
	if err := os.Mkdir(c.at, 0o700); err != nil {
		t.Fatal(err)
	}
	mountDisk(t, c.disk, c.at)
	t.Cleanup(func() { run(t, "umount", c.at) })
	// The folder itself is what an operator made long ago.
	if err := errors.Join(os.Mkdir(c.folder(), 0o700), diskfs.OS().SyncDir(c.at)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cutter) folder() string { return filepath.Join(c.at, "mount") }

// cycle runs an engine, cuts its power, and looks at what is left. Some cycles do not look: the next engine then recovers
// what this one left, and its own power may be cut amidst that.
func (c *cutter) cycle(n int, last bool) {
	t := c.t
	t.Helper()
	v := victim{
		Dir: c.folder(), Sync: [...]string{"always", "interval", "never"}[n%3],
		Blobs: c.source.seed, Choices: c.rng.Uint64(),
	}
	evict := c.rng.IntN(4) == 0
	if evict {
		v.MaxSize = cutMaxSize
	}
	c.ledger.begin(v.Sync, evict)
	child, read := c.start(v)
	c.wait(child, v.Sync)
	if err := c.ledger.cut(func() error { return shutdown(c.at) }); err != nil {
		t.Fatal(err)
	}
	c.cuts[v.Sync]++
	if evict {
		c.evicting++
	}
	c.end(child)
	if err := <-read; err != nil {
		t.Errorf("cut %d (%+v): %v", n+1, v, err)
	}
	run(t, "umount", c.at)
	mountDisk(t, c.disk, c.at)
	if last || evict || c.rng.IntN(3) > 0 {
		c.check(n, v, evict)
	}
}

// start starts the engine's process. What it acknowledges goes to the ledger until the channel gives how that ended.
func (c *cutter) start(v victim) (*process.Child, <-chan error) {
	t := c.t
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimKey+"="+string(text))
	cmd.ExtraFiles = []*os.File{w}
	child, err := process.Start("engine", filepath.Join(t.TempDir(), "log"), cmd)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	read := make(chan error, 1)
	go func() {
		defer r.Close()
		read <- c.ledger.follow(r)
	}()
	return child, read
}

// wait lets the engine run for a while. One in six does not get far.
func (c *cutter) wait(child *process.Child, sync string) {
	c.t.Helper()
	length := time.Duration(c.rng.Int64N(int64(longestStart)))
	if c.rng.IntN(6) > 0 {
		select {
		case <-c.ledger.opened():
		case <-child.Done():
			c.t.Fatal(child.Died())
		case <-time.After(closingTime):
			c.t.Fatal("the engine does not open")
		}
		longest := longestRun
		if sync == "interval" {
			longest = intervalRun
		}
		length = shortestRun + time.Duration(c.rng.Int64N(int64(longest-shortestRun)))
	}
	select {
	case <-child.Done():
		c.t.Fatal(child.Died())
	case <-time.After(length): // nothing to wait for: the moment is what is random
	}
}

// end ends the engine whose disk is gone: with a kill, or by having it close, which it must be able to. One that was not
// open yet may not listen to what it is asked.
func (c *cutter) end(child *process.Child) {
	ask := c.rng.IntN(2) == 0
	select {
	case <-c.ledger.opened():
	default:
		c.opening++
		ask = false
	}
	if !ask {
		child.Kill()
		return
	}
	c.closed++
	if err := child.Stop(closingTime); err != nil {
		c.t.Errorf("after the power cut: %v", err)
	}
}

// check holds the file system, mounted again, to the ledger.
func (c *cutter) check(n int, v victim, evict bool) {
	t := c.t
	t.Helper()
	v.MaxSize = 0 // so that nothing is evicted while it is looked at
	p := enginetest.Promise{Options: v.options(), Blobs: c.blobs, States: c.ledger.states(), Evicting: evict}
	found, verdict, err := p.Verify(t.Context())
	c.verdict.Add(verdict)
	if err != nil {
		t.Errorf("cut %d (%+v): %v", n+1, v, err)
		return
	}
	kept, dropped := c.ledger.settle(found)
	c.kept += kept
	c.dropped += dropped
	c.checks++
}

func (c *cutter) report() {
	t := c.t
	t.Helper()
	t.Logf("%s: %d power cuts %v: %d while opening, %d while evicting; after %d the engine was closed, after the others killed; %d looks at what was left",
		c.kind, *powerCuts, c.cuts, c.opening, c.evicting, c.closed, c.checks)
	t.Logf("%s: %d puts and %d deletes acknowledged; of puts that promised nothing yet %d were there, and %d were not",
		c.kind, c.ledger.puts, c.ledger.deletes, c.kept, c.dropped)
	t.Logf("%s: %v", c.kind, c.verdict)
	if c.dropped == 0 || c.verdict.Durable == 0 {
		t.Error("no power cut lost anything, or nothing was promised: the test has shown nothing")
	}
}

// shutdown cuts a file system off from its device: neither dirty pages nor the log are written any more. ext4 and XFS
// have the same call for it.
func shutdown(at string) error {
	const (
		request    = 2<<30 | 4<<16 | 'X'<<8 | 125 // _IOR('X', 125, __u32)
		noLogFlush = 2
	)
	dir, err := os.Open(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), request, noLogFlush); err != nil {
		return fmt.Errorf("shut %s down: %w", at, err)
	}
	return nil
}
