package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// moved runs the program, and gives its exit status.
func moved(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Main(args, "", &out, &errs)
	return status, out.String(), errs.String()
}

// cache makes a folder of one file a blob, with n good ones.
func cache(t *testing.T, n int) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "old")
	for i := range n {
		data := fmt.Appendf(nil, "blob %d", i)
		name := blob.Sum(data).String()
		plant(t, filepath.Join(root, name[:2], name), data)
	}
	return root
}

func plant(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMigrate(t *testing.T) {
	leaktest.Check(t)
	from, to := cache(t, 20), filepath.Join(t.TempDir(), "new")
	args := []string{"migrate", "--from", from, "--to", to, "--max-size", "none", "--segment-size", "16MiB"}
	if status, stdout, stderr := moved(t, args...); status != 0 || !strings.Contains(stdout, "copied   20 blobs") || stderr != "" {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	bad := blob.Sum([]byte("bad")).String()
	path := filepath.Join(from, bad[:2], bad)
	plant(t, path, nil)
	status, stdout, stderr := moved(t, append(args, "--move")...)
	if status != 1 || !strings.Contains(stdout, "left: "+path+": ") || !strings.Contains(stdout, "freed    20 blobs") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, _ = moved(t, append(args, "--json")...)
	var rep struct {
		Found, Bad int
		BadBlobs   []struct{ Hash, Path, Why string } `json:"bad_blobs"`
	}
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if status != 1 || rep.Found != 1 || rep.Bad != 1 || rep.BadBlobs[0].Hash != bad || rep.BadBlobs[0].Path != path || rep.BadBlobs[0].Why == "" {
		t.Errorf("status %d, %+v", status, rep)
	}
}

func TestMigrateRefuses(t *testing.T) {
	from := cache(t, 1)
	to := filepath.Join(t.TempDir(), "new")
	for want, args := range map[string][]string{
		"--max-size":                   {"--from", from, "--to", to},
		"\"much\" is not a size":       {"--from", from, "--to", to, "--max-size", "much"},
		"\"-1\" is negative":           {"--from", from, "--to", to, "--max-size", "none", "--segment-size=-1"},
		"\"fast\" is not a size":       {"--from", from, "--to", to, "--max-size", "none", "--max-rate", "fast"},
		"the cap of the destination":   {"--from", from, "--to", to, "--max-size", "0"},
		"--layout must be one of":      {"--from", from, "--to", to, "--max-size", "none", "--layout", "zip"},
		"not turned into another":      {"--from", from, "--to", from, "--max-size", "none"},
		"no such file":                 {"--from", from + "-none", "--to", to, "--max-size", "none"},
		"a sharding size is for":       {"--from", from, "--to", to, "--max-size", "none", "--sharding-size", "2"},
		"unknown flag --sharding-siz,": {"--from", from, "--to", to, "--max-size", "none", "--sharding-siz", "2"},
	} {
		if status, stdout, stderr := moved(t, append([]string{"migrate"}, args...)...); status != 2 || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%q: status %d\n%s%s", want, status, stdout, stderr)
		}
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("a refusal made the destination")
	}
}
