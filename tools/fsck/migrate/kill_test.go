package migrate_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

var (
	kills   = flag.Int("kills", 6, "how often TestKilled kills migrations")
	onLoop  = flag.Bool("loop", false, "run TestInPlace with 100,000 blobs, on a full file system of its own: needs root")
	theSeed = flag.Uint64("seed", 0, "seed of the moments of the kills; 0 takes one from the clock")
)

// victimKey says, to this program run anew, what to migrate.
const victimKey = "PRISM_MIGRATE_VICTIM"

// victimRoomKey says, not empty, that it has a littleRoomFS.
const victimRoomKey = "PRISM_MIGRATE_VICTIM_LITTLE_ROOM"

func TestMain(m *testing.M) {
	if v := os.Getenv(victimKey); v != "" {
		os.Exit(beVictim(v))
	}
	os.Exit(m.Run())
}

func beVictim(text string) int {
	var o migrate.Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if os.Getenv(victimRoomKey) != "" {
		o.FS = littleRoomFS{diskfs.OS()}
	}
	o.Logger = quiet
	m, err := migrate.New(o)
	if err == nil {
		_, err = m.Run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killed runs a migration in a process of its own and kills it after a while. It says whether it was killed in the midst.
func killed(t *testing.T, o migrate.Options, after time.Duration) bool {
	t.Helper()
	if o.MaxSize == 0 {
		o.MaxSize = migrate.NoCap
	}
	if o.SegmentSize == 0 && o.Layout != migrate.Sharded {
		o.SegmentSize = segmentSize
	}
	text, err := json.Marshal(struct {
		migrate.Options
		OnBad, FS, Logger any `json:",omitempty"`
	}{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimKey+"="+string(text))
	if _, little := o.FS.(littleRoomFS); little {
		cmd.Env = append(cmd.Env, victimRoomKey+"=1")
	}
	c, err := process.Start("migrate", filepath.Join(t.TempDir(), "log"), cmd)
	if err != nil {
		t.Fatal(err)
	}
	wait := time.NewTimer(after)
	defer wait.Stop()
	select {
	case <-c.Done():
		out, _ := os.ReadFile(c.Log())
		if cmd.ProcessState.ExitCode() != 0 {
			t.Fatalf("%s: %s", cmd.ProcessState, out)
		}
		return false
	case <-wait.C:
		c.Kill()
		<-c.Done()
		return true
	}
}

// Wherever a migration was killed, the next one ends it: every blob is in exactly one place, and right there.
func TestKilled(t *testing.T) {
	seed := *theSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("the same moments again: go test ./tools/fsck/migrate -v -run '^TestKilled$' -seed %d -kills %d", seed, *kills)
	rnd := rand.New(rand.NewPCG(seed, 0))
	// Each road is gone over until it was killed a few times on the way, and then to its end.
	for left := *kills; left > 0; {
		for _, road := range []string{"files to segments", "segments to files", "segments to segments"} {
			if left <= 0 {
				break
			}
			some := min(left, 1+rnd.IntN(4))
			left -= some
			t.Run(road, func(t *testing.T) { killOn(t, rnd, road, some) })
		}
	}
}

// bytesASecond makes a migration last, so that kills fall into its midst.
const bytesASecond = 12 << 20

func killOn(t *testing.T, rnd *rand.Rand, road string, times int) {
	const blobs, most = 150, 200_000 // 15 MB
	var b bed
	o := migrate.Options{Move: rnd.IntN(4) > 0, Workers: 1 + rnd.IntN(4), MaxRate: bytesASecond}
	switch road {
	case "files to segments":
		b = filesBed(t, t.TempDir(), rnd.Uint64(), blobs, most, 2)
	case "segments to files":
		b = segmentsBed(t, t.TempDir(), rnd.Uint64(), blobs, most)
		o.Layout, o.ShardingSize = migrate.Sharded, 2
	default:
		b = segmentsBed(t, t.TempDir(), rnd.Uint64(), blobs, most)
		o.SegmentSize = 8 << 20
	}
	o.From, o.To = b.from, b.to
	if o.Move && rnd.IntN(2) > 0 {
		o.FS = littleRoomFS{diskfs.OS()}
	}
	for range times {
		if !killed(t, o, time.Duration(rnd.Int64N(int64(700*time.Millisecond)))) {
			break
		}
		o.Workers = 1 + rnd.IntN(9) // the next run need not be as the last
	}
	o.MaxRate = 0
	rep := run(t, o)
	b.mustHave(t, o.Layout, o.ShardingSize)
	if o.Layout != migrate.Sharded {
		mustBeClean(t, b.to)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(b.to), ".fsck-migrate-new")); err == nil {
		t.Error("what was sorted is left behind")
	}
	if !o.Move {
		return
	}
	if road == "files to segments" {
		left := filesLeft(t, b.from)
		for _, h := range b.blobs {
			if _, ok := left[h.String()]; ok {
				t.Fatalf("%s is in both places; %+v", h.Short(), rep)
			}
		}
		if len(left) != len(b.bad) {
			t.Errorf("%d files are left, want the %d bad ones", len(left), len(b.bad))
		}
		return
	}
	b.mustBeLeft(t, true)
}

// The order of the blobs is that of the source, after kills too.
func TestKilledKeepsOrder(t *testing.T) {
	b := filesBed(t, t.TempDir(), 77, 100, 200_000, 2)
	o := migrate.Options{From: b.from, To: b.to, Move: true, Workers: 1, MaxRate: bytesASecond}
	for range 2 {
		if !killed(t, o, 400*time.Millisecond) {
			break
		}
	}
	o.MaxRate = 0
	run(t, o)
	got := order(t, b.to, migrate.Segments)
	at := map[blob.Hash]int{}
	for i, h := range got {
		at[h] = i
	}
	if len(got) != len(b.blobs) {
		t.Fatalf("%d blobs in the order, want %d", len(got), len(b.blobs))
	}
	for i := 1; i < len(b.blobs); i++ {
		if at[b.blobs[i-1]] > at[b.blobs[i]] {
			t.Fatalf("blob %d stands before blob %d", i, i-1)
		}
	}
}
