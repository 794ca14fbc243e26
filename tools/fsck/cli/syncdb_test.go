package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

func TestSyncDB(t *testing.T) {
	dir := made(t)
	conf, catalogue := filepath.Join(t.TempDir(), "reflector.yaml"), filepath.Join(t.TempDir(), "catalogue.db")
	c, err := bolt.Open(bolt.Options{Path: catalogue})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("store: {db_backed: {path: %q, store: {disk: {mount_point: %q, segment_size: 16MiB}}}}\n", catalogue, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fsck(t, cli.ExitFailed, "sync-db", dir)
	fsck(t, cli.ExitFailed, "sync-db", dir, "--config", conf, "--older-than", "-1h")
	if out, _ := fsck(t, cli.ExitClean, "sync-db", dir, "--config", conf); !strings.Contains(out, "5 in flight") {
		t.Error(out)
	}
	if out, _ := fsck(t, cli.ExitFindings, "sync-db", dir, "--config", conf, "--older-than", "0s"); !strings.Contains(out, "FOUND 5 × blob-without-row") {
		t.Error(out)
	}
	out, _ := fsck(t, cli.ExitClean, "sync-db", dir, "--config", conf, "--older-than", "0s", "--repair", "--json", "--max-rate", "1GB")
	var r struct{ Repaired map[string]int }
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Repaired["blob-without-row"] != 5 {
		t.Errorf("%v\n%s", err, out)
	}
	fsck(t, cli.ExitClean, "sync-db", dir, "--config", conf, "--older-than", "0s")

	e := open(t, dir)
	if _, errs := fsck(t, cli.ExitFailed, "sync-db", dir, "--config", conf); !strings.Contains(errs, "pid "+strconv.Itoa(os.Getpid())) {
		t.Error(errs)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
