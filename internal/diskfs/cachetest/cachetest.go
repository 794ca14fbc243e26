//go:build linux

// Package cachetest takes files out of the page cache, for tests and benchmarks of what is not in memory.
package cachetest

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Forget writes a file back and drops its pages. A file system in memory keeps them.
func Forget(t testing.TB, path string) {
	t.Helper()
	ForgetRange(t, path, 0, 0)
}

// ForgetRange is Forget for the n bytes from off on; 0 is all that follow.
func ForgetRange(t testing.TB, path string, off, n int64) {
	t.Helper()
	f, err := os.Open(path)
	if err == nil {
		err = errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
