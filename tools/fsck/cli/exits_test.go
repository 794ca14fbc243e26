package cli_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// TestExitStatuses holds every command to 0 clean or repaired, 1 findings remain, 2 could not run. What a command prints
// with --json is one JSON object, whatever its status is below 2.
func TestExitStatuses(t *testing.T) {
	payload := bytes.Repeat([]byte{3}, 10_003)
	whole := func(t *testing.T) string { return made(t) }
	hurt := func(t *testing.T) string {
		dir := made(t)
		spoil(t, segmentOf(dir), payload)
		t.Cleanup(func() { fsck(t, cli.ExitClean, "repair", dir) })
		return dir
	}
	none := func(t *testing.T) string { return t.TempDir() }
	badFile := func(t *testing.T) string {
		from := cache(t, 3)
		plant(t, filepath.Join(from, "ab", blobNamed("ab")), nil)
		return from
	}
	mount := func(command ...string) func(t *testing.T, dir string) []string {
		return func(_ *testing.T, dir string) []string { return append(command, dir) }
	}
	dump := func(_ *testing.T, dir string) []string { return []string{"dump", segmentOf(dir)} }
	cat := func(_ *testing.T, dir string) []string { return []string{"cat", dir, blob.Sum(payload).String()} }
	migrate := func(t *testing.T, dir string) []string {
		return []string{"migrate", "--from", dir, "--to", filepath.Join(t.TempDir(), "new"), "--max-size", "none", "--segment-size", "16MiB", "--max-rate", "1GB"}
	}
	for name, c := range map[string]struct {
		bed  func(t *testing.T) string
		args func(t *testing.T, dir string) []string
		want int
	}{
		"check a whole mount":             {whole, mount("check", "--hash", "--max-rate", "1GB"), cli.ExitClean},
		"check a damaged one":             {hurt, mount("check", "--data", "--max-rate", "1GB"), cli.ExitFindings},
		"check what is none":              {none, mount("check"), cli.ExitFailed},
		"repair a whole mount":            {whole, mount("repair", "--max-rate", "1GB"), cli.ExitClean},
		"repair a damaged one":            {hurt, mount("repair", "--max-rate", "1GB"), cli.ExitClean},
		"say what a repair would do":      {hurt, mount("repair", "--dry-run"), cli.ExitFindings},
		"repair what is none":             {none, mount("repair"), cli.ExitFailed},
		"rebuild the index":               {whole, mount("rebuild-index"), cli.ExitClean},
		"rebuild the index of none":       {none, mount("rebuild-index"), cli.ExitFailed},
		"stat":                            {whole, mount("stat"), cli.ExitClean},
		"stat what is none":               {none, mount("stat"), cli.ExitFailed},
		"dump":                            {whole, dump, cli.ExitClean},
		"dump what is none":               {none, dump, cli.ExitFailed},
		"cat":                             {whole, cat, cli.ExitClean},
		"cat a damaged blob":              {hurt, cat, cli.ExitFailed},
		"migrate":                         {func(t *testing.T) string { return cache(t, 3) }, migrate, cli.ExitClean},
		"migrate, with a bad file":        {badFile, migrate, cli.ExitFindings},
		"migrate a source that is absent": {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, migrate, cli.ExitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args(t, c.bed(t))
			fsck(t, c.want, args...)
			if args[0] == "cat" {
				return
			}
			args = slices.Insert(c.args(t, c.bed(t)), 1, "--json")
			out, _ := fsck(t, c.want, args...)
			var object map[string]any
			if err := json.Unmarshal([]byte(out), &object); c.want != cli.ExitFailed && (err != nil || len(object) == 0) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// segmentOf is the file of the only segment of a mount that made made.
func segmentOf(dir string) string {
	return filepath.Join(dir, "segments", "0000000000000001.seg")
}

// blobNamed is a name that begins so, of no blob that there is.
func blobNamed(prefix string) string {
	sum := blob.Sum([]byte(prefix)).String()
	return prefix + sum[len(prefix):]
}
