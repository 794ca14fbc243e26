package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAdminSocket checks a mount while its program serves, before and after a kill, and sees the socket go with the
// program.
func TestAdminSocket(t *testing.T) {
	o, mount := newOrigin(t, nil), filepath.Join(t.TempDir(), "mount")
	socket := filepath.Join(t.TempDir(), "admin.sock")
	conf := setup{mount: mount, more: "admin_socket: " + socket}
	e := startEdge(t, o, conf)
	e.ask(t, o)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	refused := prism(t, "fsck", "check", mount)
	if want := fmt.Sprintf("running under pid %d: use fsck check --online --socket %s %s", e.PID(), socket, mount); refused.status != 2 || !strings.Contains(refused.stderr, want) {
		t.Errorf("%+v", refused)
	}
	look := func() {
		t.Helper()
		got := prism(t, "fsck", "check", "--online", "--hash", mount)
		if want := fmt.Sprintf("%d payloads read\nclean\n", len(o.blobs)); got.status != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("%+v", got)
		}
		got = prism(t, "fsck", "stat", "--socket", socket)
		if got.status != 0 || !strings.Contains(got.stdout, fmt.Sprintf("%d blobs", len(o.blobs))) {
			t.Errorf("%+v", got)
		}
	}
	look()

	port, metricsPort := freePorts(t)
	dir := configure(t, fmt.Sprintf(noLists+"\nservers: {http: {port: %d}}\nstore: {mem: }\nadmin_socket: %s\n", port, socket))
	second := prism(t, "blobcache", "--conf-dir", dir, "--metrics-port", strconv.Itoa(metricsPort))
	if want := fmt.Sprintf("process %d answers there already", e.PID()); second.status != 1 || !strings.Contains(second.stderr, want) {
		t.Errorf("%+v", second)
	}
	look() // the first one still has it

	e.Kill()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal(err)
	}
	e = startEdge(t, o, conf)
	look()
	if err := e.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{socket, filepath.Join(mount, "admin")} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s outlives the program: %v", path, err)
		}
	}
}
