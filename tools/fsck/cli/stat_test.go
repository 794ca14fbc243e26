package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

func TestStat(t *testing.T) {
	dir := made(t)
	out, _ := fsck(t, cli.ExitClean, "stat", dir)
	for _, want := range []string{"5 blobs", "sealed", "scrub: none has begun", "hottest", "oldest"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _ = fsck(t, cli.ExitClean, "stat", "--json", dir)
	var s struct {
		Blobs   int
		Hottest []struct{ Hash string }
	}
	newest := blob.Sum(bytes.Repeat([]byte{4}, 10_004)).String()
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Blobs != 5 || len(s.Hottest) != 5 || s.Hottest[0].Hash != newest {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCat(t *testing.T) {
	dir := made(t)
	p := bytes.Repeat([]byte{3}, 10_003)
	h := blob.Sum(p).String()
	if out, _ := fsck(t, cli.ExitClean, "cat", dir, h); out != string(p) {
		t.Errorf("%d bytes, want %d", len(out), len(p))
	}
	absent := blob.Sum([]byte("absent")).String()
	if out, errs := fsck(t, cli.ExitFailed, "cat", dir, absent); out != "" || !strings.Contains(errs, "not found") {
		t.Error(out, errs)
	}
	if _, errs := fsck(t, cli.ExitFailed, "cat", dir, "abc"); !strings.Contains(errs, "96 hex digits") {
		t.Error(errs)
	}
	names, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		spoil(t, name, p)
	}
	if out, errs := fsck(t, cli.ExitFailed, "cat", dir, h); out != "" || !strings.Contains(errs, "corrupt") {
		t.Error(out, errs)
	}
	// The files were written anew, holes and all: the repair gives back what that filled, too.
	fsck(t, cli.ExitClean, "repair", dir)
}

// spoil changes one byte of a payload in a segment's file, if it is there.
func spoil(t *testing.T, name string, payload []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(b, payload); at >= 0 {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStatAndCatRefuse a mount that is open, and what is none.
func TestStatAndCatRefuse(t *testing.T) {
	dir := made(t)
	e := open(t, dir)
	h := blob.Sum([]byte("x")).String()
	for _, args := range [][]string{{"stat", dir}, {"cat", dir, h}} {
		if _, errs := fsck(t, cli.ExitFailed, args...); !strings.Contains(errs, "pid "+strconv.Itoa(os.Getpid())) {
			t.Error(errs)
		}
	}
	fsck(t, cli.ExitFailed, "stat", t.TempDir())
	fsck(t, cli.ExitFailed, "cat", t.TempDir(), h)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
