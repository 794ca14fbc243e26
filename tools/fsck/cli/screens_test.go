package cli_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

var update = flag.Bool("update", false, "write docs/fsck-screens.md anew, as the commands print now")

const screensHead = `# Screens of fsck

As the commands print them, with their exit statuses: a small mount that lost its superblock, has a file among its segments that
is none, and a bad byte in a payload; then a migration of a small cache that has an empty file. This page is written by
` + "`go test ./tools/fsck/cli -run TestScreens -update`" + `, and the same test fails where it is not what they print, numbers aside.
`

// TestScreens compares the documentation with what the commands print.
func TestScreens(t *testing.T) {
	page, err := filepath.Abs("../../../docs/fsck-screens.md")
	if err != nil {
		t.Fatal(err)
	}
	from, mount := cache(t, 20), made(t)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	for old, now := range map[string]string{from: "cache", mount: "m"} {
		if err := os.Rename(old, now); err != nil {
			t.Fatal(err)
		}
	}
	bad := blob.Sum([]byte("bad")).String()
	plant(t, filepath.Join("cache", bad[:2], bad), nil)
	var b strings.Builder
	b.WriteString(screensHead)
	show := func(args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		status := cli.Main(args, "", &out, &errs)
		fmt.Fprintf(&b, "\n```\n$ fsck %s\n%s%s$ echo $?\n%d\n```\n", strings.Join(args, " "), &out, &errs, status)
	}
	segment := filepath.Join("m", "segments", "0000000000000001.seg")
	show("check", "--hash", "m")
	show("stat", "m")
	show("dump", segment)
	spoil(t, segment, bytes.Repeat([]byte{3}, 10_003))
	plant(t, filepath.Join("m", "segments", "notes.txt"), []byte("x"))
	if err := os.Remove(filepath.Join("m", "superblock")); err != nil {
		t.Fatal(err)
	}
	show("check", "--hash", "m")
	show("stat", "m")
	show("repair", "--dry-run", "m")
	show("repair", "m")
	show("check", "--hash", "m")
	show("migrate", "--from", "cache", "--to", "new", "--max-size", "none", "--segment-size", "16MiB", "--move", "--workers", "1")
	got := strings.ReplaceAll(b.String(), root, "/mnt")
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	a, z := strings.Split(steady(got), "\n"), strings.Split(steady(string(want)), "\n")
	for i := range max(len(a), len(z)) {
		if i >= len(a) || i >= len(z) || a[i] != z[i] {
			t.Fatalf("docs/fsck-screens.md is not what is printed, from line %d on; write it anew with -update. Printed:\n%s", i+1, got)
		}
	}
}

// steady is a screen without what differs from run to run.
func steady(screen string) string {
	for pattern, by := range map[string]string{
		`\b[0-9a-f]{16,}\b`:                 "HEX",
		`\b[0-9.]+ ?(bytes|[KMGTPE]?i?B)\b`: "SIZE",
		`\b[0-9.]+(ns|µs|ms|s)\b`:           "TIME",
	} {
		screen = regexp.MustCompile(pattern).ReplaceAllString(screen, by)
	}
	screen = regexp.MustCompile(`[0-9]+`).ReplaceAllString(screen, "N")
	return regexp.MustCompile(` +`).ReplaceAllString(screen, " ")
}
