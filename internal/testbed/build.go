package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// tool is a program that a module below this package pins.
type tool struct {
	name string // of the program, and of the folder with its module
	pkg  string // what is built
}

// build gives the path of the program, which it builds if this machine has not yet. Processes that want it at the same
// time wait for the one that builds.
func (p tool) build(ctx context.Context) (string, error) {
	module, err := p.module(ctx)
	if err != nil {
		return "", fmt.Errorf("testbed: find the module of %s: %w", p.name, err)
	}
	path, err := p.path(module)
	if err != nil {
		return "", fmt.Errorf("testbed: choose a place for %s: %w", p.name, err)
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", fmt.Errorf("testbed: wait for the build of %s: %w", p.name, err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unfinished := path + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-trimpath", "-ldflags=-s -w", "-o", unfinished, p.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("testbed: build %s: %w\n%s", p.name, err, out)
	}
	return path, os.Rename(unfinished, path)
}

// module is the folder with the tool's go.mod. Tests run in the folder of their package, so the go command knows where
// the tree is.
func (p tool) module(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	root := strings.TrimSpace(string(out))
	if filepath.Base(root) != "go.mod" {
		return "", errors.New("the working directory is in no module")
	}
	return filepath.Join(filepath.Dir(root), "internal", "testbed", p.name), nil
}

// path is where the program is kept: its name says from what it was built.
func (p tool) path(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range [...]string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		sum.Write(text)
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, p.name+"-"+hex.EncodeToString(sum.Sum(nil)[:8])), nil
}

// lock waits for a lock that ends with the process at the latest.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which gives the lock back
}
