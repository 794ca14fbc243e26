package admin_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/internal/leaktest"
)

// TestSocketFile: its mode, whatever the umask, and its end.
func TestSocketFile(t *testing.T) {
	leaktest.FDs(t)
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "a.sock")
	ln, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v", err)
	}
}

// TestOnlyItsOwnSocketIsRemoved: who closes does not remove what another one made since.
func TestOnlyItsOwnSocketIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	first, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil { // the inode stays, or it could come again
		t.Fatal(err)
	}
	second, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// TestStaleSocket replaces what a killed program left, and nothing else.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	stale := func() {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stale()
	ln, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.Listen(path)
	if want := "process " + strconv.Itoa(os.Getpid()) + " answers there already"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	// Of many that start at once over a stale socket one gets it.
	for range 20 {
		stale()
		var got, tried atomic.Int64
		var all sync.WaitGroup
		release := make(chan struct{})
		for range 4 {
			all.Go(func() {
				ln, err := admin.Listen(path)
				tried.Add(1)
				if err != nil {
					return
				}
				got.Add(1)
				<-release
				if err := ln.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		for tried.Load() < 4 {
			time.Sleep(time.Millisecond)
		}
		close(release)
		all.Wait()
		if got.Load() != 1 {
			t.Fatalf("%d listen", got.Load())
		}
	}
}

// TestPathsThatCannotBe: each is refused with what to do, and what is there stays.
func TestPathsThatCannotBe(t *testing.T) {
	leaktest.FDs(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                                "no absolute path",
		"a.sock":                          "no absolute path",
		"@prism":                          "no absolute path",
		"/" + strings.Repeat("x", 107):    "the path has 108 bytes, and that of a socket has 107 at most; choose a shorter one",
		"/run/\x00a":                      "zero byte",
		file:                              "something that is no socket",
		dir:                               "something that is no socket",
		filepath.Join(dir, "link"):        "something that is no socket",
		filepath.Join(dir, "none", "a.s"): "does not exist; make it, or choose another path",
		filepath.Join(file, "a.s"):        "not a directory",
	} {
		ln, err := admin.Listen(path)
		if err == nil {
			t.Errorf("%q is taken", path)
			_ = ln.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}
