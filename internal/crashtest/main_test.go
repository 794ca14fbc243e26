package crashtest_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	kills        = flag.Int("kills", 4, "how often TestKill kills the program under load")
	receiptKills = flag.Int("receipt-kills", 3, "how often TestReceipts kills the program over each store")
	onLoop       = flag.Bool("loop", false, "run TestCap at full size, on a loop-mounted file system of its own: needs root")
	powerCuts    = flag.Int("power-cuts", 0, "how often TestPowerCuts shuts down each of its loop-mounted file systems: needs root")
	theSeed      = flag.Uint64("seed", 0, "seed of the blobs and of all choices; 0 takes one from the clock")
)

const binaryKey = "PRISM_CRASHTEST_BINARY"

func TestMain(m *testing.M) {
	if v := os.Getenv(victimKey); v != "" {
		os.Exit(beVictim(v))
	}
	os.Exit(buildAndRun(m))
}

// buildAndRun builds the program once for all tests.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "prism-crashtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "prism")
	if err := build(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(binaryKey, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the program. It also lists the folders that the program is made of: the go command then knows that the
// result of these tests depends on them, and does not take a remembered one for a program that has changed since.
func build(path string) error {
	const program = "github.com/OdyseeTeam/prism/cmd/prism"
	if out, err := exec.Command("go", "build", "-o", path, program).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}", program).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for dir := range strings.Lines(string(out)) {
		if _, err := os.ReadDir(strings.TrimSpace(dir)); err != nil {
			return err
		}
	}
	return nil
}

// seed is the seed to use, with the command that repeats the test.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := *theSeed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("the same choices again: go test ./internal/crashtest -v -run '^%s$' -seed %d -kills %d -receipt-kills %d -loop=%t -power-cuts %d", t.Name(), s, *kills, *receiptKills, *onLoop, *powerCuts)
	return s
}
