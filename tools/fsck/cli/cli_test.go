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
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// made is a mount with some blobs, closed.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	e := open(t, dir)
	for i := range 5 {
		p := bytes.Repeat([]byte{byte(i)}, 10_000+i)
		v, err := blob.Verify(blob.Sum(p), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *engine.Engine {
	t.Helper()
	checktest.After(t, nil, dir)
	e, err := engine.Open(t.Context(), engine.Options{Dir: dir, MaxSize: 1 << 30, SegmentSize: 16 << 20, ActiveSegments: 1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// fsck runs the program and wants an exit status.
func fsck(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := cli.Main(args, "v1", &out, &errs); got != want {
		t.Fatalf("fsck %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func TestCheckAndRepair(t *testing.T) {
	dir := made(t)
	fsck(t, cli.ExitClean, "check", "--hash", "--max-rate", "1GB", dir)
	if err := os.WriteFile(filepath.Join(dir, "superblock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "segments", "notes.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := fsck(t, cli.ExitFindings, "check", dir); !strings.Contains(out, "superblock") {
		t.Error(out)
	}
	if out, _ := fsck(t, cli.ExitFindings, "repair", "--dry-run", dir); !strings.Contains(out, "would: ") {
		t.Error(out)
	}
	fsck(t, cli.ExitFindings, "check", dir) // the dry run changed nothing
	out, _ := fsck(t, cli.ExitClean, "repair", "--json", dir)
	var r struct{ Blobs int }
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Blobs != 5 {
		t.Errorf("%v\n%s", err, out)
	}
	fsck(t, cli.ExitClean, "check", "--data", dir)
	fsck(t, cli.ExitClean, "rebuild-index", dir)
	fsck(t, cli.ExitClean, "check", "--hash", dir)
}

func TestWhatCannotRun(t *testing.T) {
	dir := made(t)
	e := open(t, dir)
	for _, command := range []string{"check", "repair", "rebuild-index"} {
		if _, errs := fsck(t, cli.ExitFailed, command, dir); !strings.Contains(errs, "pid "+strconv.Itoa(os.Getpid())) {
			t.Error(errs)
		}
		fsck(t, cli.ExitFailed, command, t.TempDir())
		fsck(t, cli.ExitFailed, command, filepath.Join(dir, "nowhere"))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	fsck(t, cli.ExitFailed, "check", "--max-rate", "fast", dir)
	fsck(t, cli.ExitFailed, "mend", dir)
}

func TestDump(t *testing.T) {
	dir := made(t)
	names, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	slots := 0
	for _, name := range names {
		out, _ := fsck(t, cli.ExitClean, "dump", name)
		slots += strings.Count(out, " bytes (")
	}
	if slots != 5 {
		t.Errorf("%d slots, want 5", slots)
	}
	fsck(t, cli.ExitFailed, "dump", filepath.Join(dir, "superblock"))
}
