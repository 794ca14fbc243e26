package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/metadatatest"
)

func t0() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// writerPath says to TestMain that this process is the one which is killed.
const writerPath = "PRISM_TEST_BOLT_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerPath); path != "" {
		if os.Getenv(writerPath+"_FULL") != "" {
			limitFiles()
		}
		writeForever(path, os.Getenv(writerPath+"_FROM"))
	}
	os.Exit(m.Run())
}

// writeForever notes one stream after the other and says which are committed.
func writeForever(path, from string) {
	c, err := bolt.Open(bolt.Options{Path: path})
	if err != nil {
		panic(err)
	}
	first, err := strconv.Atoi(from)
	if err != nil {
		panic(err)
	}
	for i := first; ; i++ {
		name := fmt.Sprint(i)
		sd := metadatatest.Blobs(9, t0(), metadatatest.Hash("sd "+name))[0]
		err := c.PutStream(context.Background(), sd, metadatatest.Stream(name, metadatatest.Hashes(name, 20)...))
		if errors.Is(err, metadata.ErrUnavailable) && os.Getenv(writerPath+"_FULL") != "" {
			if _, _, err := c.Missing(context.Background(), sd.Hash); err != nil {
				panic(err) // it is still read
			}
			os.Exit(0)
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

// What was acknowledged before a kill -9 is there, whole, and so is nothing by halves.
func TestKilled(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	path := filepath.Join(t.TempDir(), "catalogue")
	next := 0
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerPath+"="+path, writerPath+"_FROM="+strconv.Itoa(next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		acknowledged := -1
		for n := 0; lines.Scan(); n++ {
			if acknowledged, err = strconv.Atoi(lines.Text()); err != nil {
				t.Error(err)
			}
			if n == 3*round {
				_ = cmd.Process.Kill() // and what it still says before that counts
			}
		}
		_ = cmd.Wait()
		if acknowledged < next {
			t.Fatal("the process that writes wrote nothing")
		}
		c := open(t, bolt.Options{Path: path})
		for i := range acknowledged + 3 {
			name := fmt.Sprint(i)
			missing, known, err := c.Missing(t.Context(), metadatatest.Hash("sd "+name))
			if err != nil || known != (i <= acknowledged) && i != acknowledged+1 || known && len(missing) != 20 {
				t.Errorf("round %d: of stream %d, where %d were acknowledged: known %v, %d missing, %v",
					round, i, acknowledged, known, len(missing), err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wantWhole(t, path)
		next = acknowledged + 1
	}
}

// limitFiles lets no file of this process grow beyond 200 KiB, as a full disk would not.
func limitFiles() {
	signal.Ignore(syscall.SIGXFSZ)
	const most = 200 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		panic(err)
	}
}

// Where the file cannot grow, writes fail, reads go on, and what was acknowledged is there; with room it goes on.
func TestFull(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	path := filepath.Join(t.TempDir(), "catalogue")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerPath+"="+path, writerPath+"_FROM=0", writerPath+"_FULL=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := len(strings.Fields(string(out)))
	if acknowledged == 0 {
		t.Fatal("it was full from the start")
	}
	wantWhole(t, path)
	c := open(t, bolt.Options{Path: path})
	for i := range acknowledged + 1 {
		name := fmt.Sprint(i)
		missing, known, err := c.Missing(t.Context(), metadatatest.Hash("sd "+name))
		if err != nil || known != (i < acknowledged) || known && len(missing) != 20 {
			t.Errorf("of stream %d, where %d were acknowledged: known %v, %d missing, %v", i, acknowledged, known, len(missing), err)
		}
	}
	if err := c.PutBlobs(t.Context(), metadatatest.Blobs(9, t0(), metadatatest.Hashes("room", 20_000)...)); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wantWhole(t, path)
}
