package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
)

// TestQuickstart runs every command of docs/quickstart.md, on free ports and with the program that is under test.
func TestQuickstart(t *testing.T) {
	text, err := os.ReadFile("../../docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script.WriteString(block[1])
	}
	const build = "go build -o prism ./cmd/prism\n"
	if !strings.HasPrefix(script.String(), build) || strings.Count(script.String(), "\ncmp ") != 3 {
		t.Fatalf("the page has other commands:\n%s", &script)
	}
	ports := []string{"5566", "5567", "5568", "5569", "5570", "2112", "2113"}
	free := testbed.Ports(t, len(ports))
	var pairs []string
	for i, p := range ports {
		pairs = append(pairs, p, fmt.Sprint(free[i]))
	}
	moved := strings.NewReplacer(pairs...)

	dir := t.TempDir()
	conf := filepath.Join(dir, "examples", "quickstart")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"upload", "reflector", "blobcache"} {
		doc, err := os.ReadFile("../../examples/quickstart/" + command + ".yaml")
		if err == nil {
			err = os.WriteFile(filepath.Join(conf, command+".yaml"), []byte(moved.Replace(string(doc))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary(t), filepath.Join(dir, "prism")); err != nil {
		t.Fatal(err)
	}
	// Ports that are defaults are no text of the page.
	commands := strings.NewReplacer(
		"./prism reflector", fmt.Sprintf("./prism reflector --receiver-port %d", free[0]),
		"./prism blobcache", fmt.Sprintf("./prism blobcache --metrics-port %d", free[5]),
	).Replace(moved.Replace(strings.TrimPrefix(script.String(), build)))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-emuxc", "trap 'kill $(jobs -p) || true' EXIT\n"+commands)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"into 10 content blobs", "uploaded 11 blobs (1 of them SD blobs)", "11 were stored already; 11 files were deleted"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tryout", "blobs")); err != nil || len(left) != 0 {
		t.Errorf("blobs that are left: %v, %v", left, err)
	}
	for _, mount := range []string{"cache", "store"} {
		if r := checktest.Clean(t, nil, filepath.Join(dir, "tryout", mount)); r.Blobs != 11 {
			t.Errorf("%s", r)
		}
	}
}
