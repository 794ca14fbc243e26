package cli_test

import (
	"bytes"
	"errors"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

var (
	kills   = flag.Int("kills", 4, "how often TestCheckKilled kills each kind of check")
	theSeed = flag.Uint64("seed", 0, "seed of the moments of the kills; 0 takes one from the clock")
)

// slowly makes a run that reads payloads last for minutes: the blobs of slow are 12 MiB, and 8 of them may be read at once.
const slowly = "--max-rate 20KB "

// slow is a good mount with payloads to read.
func slow(t *testing.T) *bad {
	t.Helper()
	b := &bad{t: t, dir: t.TempDir(), all: map[blob.Hash][]byte{}}
	r := rand.NewChaCha8([32]byte{4})
	e := b.open()
	for range 12 {
		p := make([]byte, 1<<20)
		_, _ = r.Read(p) // never fails
		v, err := blob.Verify(blob.Sum(p), p)
		b.must(err)
		b.all[v.Hash()] = p
		b.must(e.Put(t.Context(), v, blob.KindContent))
	}
	b.must(e.Close())
	return b
}

// started runs fsck in a process of its own.
func started(t *testing.T, args string) *process.Child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FSCK_TEST_ARGS="+args)
	c, err := process.Start("fsck", filepath.Join(t.TempDir(), "log"), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

// awaitOwner waits until the process holds the mount.
func (b *bad) awaitOwner(c *process.Child) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		owner, err := os.ReadFile(b.path("lock"))
		b.must(err)
		if bytes.Contains(owner, []byte(strconv.Itoa(c.PID()))) {
			return
		}
		select {
		case <-c.Done():
			b.t.Fatal(c.Died())
		default:
		}
		if time.Now().After(deadline) {
			b.t.Fatal("the process does not take the lock")
		}
	}
}

// state is all that a check must leave as it is: each file with its bytes and the time of its last change, but for the locks,
// which name the last owner.
type state struct {
	files map[string]string
	times map[string]time.Time
}

func (b *bad) state() state {
	b.t.Helper()
	s := state{files: tree(b.t, b.dir), times: map[string]time.Time{}}
	maps.DeleteFunc(s.files, func(path, _ string) bool { return strings.EqualFold(filepath.Base(path), "lock") })
	for path := range s.files {
		info, err := os.Stat(path)
		b.must(err)
		s.times[path] = info.ModTime()
	}
	return s
}

// dump is all rows of the index.
func (b *bad) dump() string {
	b.t.Helper()
	x, err := index.Open(index.Options{FS: pebblefs.New(diskfs.OS()), Dir: b.path("index"), CacheBytes: 1 << 20, ReadOnly: true})
	b.must(err)
	v, err := x.View()
	b.must(err)
	var rows strings.Builder
	_, err = v.WriteTo(&rows)
	b.must(errors.Join(err, v.Close(), x.Close()))
	return rows.String()
}

// withoutIndex is the state but for the files of the index.
func (b *bad) withoutIndex(s state) state {
	in := func(path string) bool { return filepath.Dir(path) == b.path("index") }
	s = state{files: maps.Clone(s.files), times: maps.Clone(s.times)}
	maps.DeleteFunc(s.files, func(path, _ string) bool { return in(path) })
	maps.DeleteFunc(s.times, func(path string, _ time.Time) bool { return in(path) })
	return s
}

// untouched holds a state of the mount to what it was.
func (b *bad) untouched(is, was state) {
	b.t.Helper()
	if !maps.Equal(is.files, was.files) {
		b.t.Error("files were changed")
	}
	if !maps.EqualFunc(is.times, was.times, time.Time.Equal) {
		b.t.Errorf("files were written: %v, before %v", is.times, was.times)
	}
}

// A check that is killed leaves the mount as it was, and the next one takes it at once and is clean.
func TestCheckKilled(t *testing.T) {
	seed := *theSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("the same moments again: go test ./tools/fsck/cli -v -run '^TestCheckKilled$' -seed %d -kills %d", seed, *kills)
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := slow(t)
	before := b.state()
	for _, command := range []string{"check ", "check --data " + slowly, "check --hash " + slowly} {
		for range *kills {
			c := started(t, command+b.dir)
			if rnd.IntN(4) > 0 && strings.Contains(command, slowly) {
				b.awaitOwner(c)
			}
			wait := time.NewTimer(time.Duration(rnd.Int64N(int64(100 * time.Millisecond))))
			select {
			case <-wait.C:
				c.Kill()
			case <-c.Done(): // a check that reads no payloads may be quicker
			}
			wait.Stop()
			b.untouched(b.state(), before)
			if rnd.IntN(2) == 0 { // or the next one meets what several left
				fsck(t, cli.ExitClean, "check", b.dir)
			}
		}
	}
	fsck(t, cli.ExitClean, "check", "--hash", b.dir)
	b.untouched(b.state(), before)
	b.serves(0)
}

// A result that cannot be printed is an error, and no finding: of the mount nothing is known then.
func TestOutputFull(t *testing.T) {
	dir := made(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range []string{
		"check", "check --json", "check --hash", "stat", "stat --json", "repair", "repair --json", "rebuild-index", "cat",
	} {
		line := append(strings.Fields(args), dir)
		if args == "cat" {
			line = append(line, blob.Sum(bytes.Repeat([]byte{3}, 10_003)).String())
		}
		var errs bytes.Buffer
		code := cli.Main(line, "v1", full, &errs)
		if code != cli.ExitFailed || !strings.Contains(errs.String(), "no space left on device") {
			t.Errorf("%s: exit status %d\n%s", args, code, &errs)
		}
	}
	fsck(t, cli.ExitClean, "check", "--hash", dir)
}

// A signal ends a check, or the reading of a repair: exit status 2, a line that says why, and a mount as it was.
func TestInterrupted(t *testing.T) {
	b := slow(t)
	before, rows := b.state(), b.dump()
	for _, command := range []string{"check --data ", "check --hash ", "repair "} {
		for sig, says := range map[syscall.Signal]string{syscall.SIGINT: "interrupt", syscall.SIGTERM: "terminated"} {
			c := started(t, command+slowly+b.dir)
			b.awaitOwner(c)
			b.must(syscall.Kill(c.PID(), sig))
			select {
			case <-c.Done():
			case <-time.After(time.Minute):
				t.Fatalf("%s does not end with %v", command, sig)
			}
			why := c.Died().Error()
			if !strings.Contains(why, "exit status 2\n") || !strings.Contains(why, says+" signal received") {
				t.Errorf("%s, %v: %s", command, sig, why)
			}
			if strings.HasPrefix(command, "repair") { // the index is opened for a change, and then has other files
				b.untouched(b.withoutIndex(b.state()), b.withoutIndex(before))
			} else {
				b.untouched(b.state(), before)
			}
			if b.dump() != rows {
				t.Error("the rows of the index were changed")
			}
			fsck(t, cli.ExitClean, "check", b.dir)
		}
	}
	b.serves(0)
}
