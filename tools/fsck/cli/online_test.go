package cli_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// TestOnline looks at a mount that a program serves.
func TestOnline(t *testing.T) {
	dir := made(t)
	quiet := slog.New(slog.DiscardHandler)
	store, err := disk.Open(t.Context(), disk.Options{MountPoint: dir, MinFree: 1 << 20, SegmentSize: 16 << 20, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	pid := "pid " + strconv.Itoa(os.Getpid())
	if _, errs := fsck(t, cli.ExitFailed, "check", dir); !strings.Contains(errs, pid) || !strings.Contains(errs, "admin_socket") {
		t.Error(errs)
	}
	if _, errs := fsck(t, cli.ExitFailed, "check", "--online", dir); !strings.Contains(errs, "--socket") {
		t.Error(errs)
	}
	socket := filepath.Join(t.TempDir(), "a.sock")
	ln, err := admin.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := admin.New(admin.Options{Stores: []*disk.Store{store}, Logger: quiet})
	go func() { ended <- server.Serve(ctx, ln) }()
	fsck(t, cli.ExitClean, "check", "--socket", socket, dir) // it answers from now on, and the note is there

	for _, command := range []string{"check", "stat"} {
		_, errs := fsck(t, cli.ExitFailed, command, dir)
		if !strings.Contains(errs, "running under "+pid) || !strings.Contains(errs, command+" --online --socket "+socket+" "+dir) {
			t.Error(errs)
		}
	}
	for _, args := range [][]string{{"--online", dir}, {"--socket", socket}, {"--socket", socket, dir}} {
		out, _ := fsck(t, cli.ExitClean, append([]string{"check", "--hash"}, args...)...)
		if !strings.Contains(out, "while it is served") || !strings.Contains(out, "5 payloads read") {
			t.Error(out)
		}
		out, _ = fsck(t, cli.ExitClean, append([]string{"stat"}, args...)...)
		if !strings.Contains(out, "5 blobs") || !strings.Contains(out, "scrub: off") {
			t.Error(out)
		}
	}
	out, _ := fsck(t, cli.ExitClean, "stat", "--json", "--online", dir)
	var st struct {
		Blobs  int
		Served struct{ Blobs int }
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil || st.Blobs != 5 || st.Served.Blobs != 5 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, errs := fsck(t, cli.ExitFailed, "check", "--socket", socket, t.TempDir()); !strings.Contains(errs, "no mount of this program; there are: "+dir) {
		t.Error(errs)
	}
	fsck(t, cli.ExitFailed, "check")
	fsck(t, cli.ExitFailed, "check", "--socket", socket+"x", dir)

	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	fsck(t, cli.ExitFailed, "check", "--socket", socket, dir)
	fsck(t, cli.ExitClean, "check", dir)
}
