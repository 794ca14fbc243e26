// Package checktest has a test end with the checker: whatever the test did with a mount, the checker must find nothing on
// it afterwards. A test that opens an engine, or a store or a program over one, says so before it opens it:
//
//	checktest.After(t, nil, dir)
//	e, err := engine.Open(t.Context(), engine.Options{Dir: dir})
//	…
//	t.Cleanup(func() { _ = e.Close() })
//
// What a test registers last runs first, so the check comes after Close. A test that leaves a mount that cannot be clean
// calls Except instead, with the reason. internal/lint sees that each test does one or the other. The package is a kit:
// tests import it, programs do not.
package checktest

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// After looks at the mount in dir once the test, and all that it registers for its end from here on, is done. A nil fsys
// is the system's.
func After(t testing.TB, fsys diskfs.FS, dir string) {
	t.Helper()
	t.Cleanup(func() {
		t.Helper()
		Clean(t, fsys, dir)
	})
}

// AfterConfigured is After for every mount_point that a configuration names.
func AfterConfigured(t testing.TB, doc string) {
	t.Helper()
	for _, m := range mountPoint.FindAllStringSubmatch(doc, -1) {
		After(t, nil, strings.Trim(m[1], `"'`))
	}
}

var mountPoint = regexp.MustCompile(`mount_point: *("[^"]*"|'[^']*'|[^\s,}]+)`)

// Clean looks at the mount in dir, which nobody has open: every table, every row, every payload and its hash. A folder
// without a mount in it, because none was made or its blobs are one file each, has nothing to look at.
func Clean(t testing.TB, fsys diskfs.FS, dir string) check.Report {
	t.Helper()
	if fsys == nil {
		fsys = diskfs.OS()
	}
	layout, err := mount.Detect(fsys, dir)
	if err != nil {
		t.Errorf("look for a mount in %s: %v", dir, err)
		return check.Report{}
	}
	if layout.Kind != mount.LayoutSegments {
		return check.Report{}
	}
	report, err := check.Mount(context.WithoutCancel(t.Context()), fsys, dir, check.Options{Payloads: true, Hashes: true})
	switch {
	case errors.Is(err, mount.ErrNotAMount): // its folders alone: it was never made
	case err != nil:
		t.Errorf("the mount cannot be checked: %v", err)
	case !report.Clean():
		t.Errorf("the checker finds: %s", report)
	}
	return report
}

// Except says that a test's mount cannot be clean in the end, or is none, and why.
func Except(t testing.TB, why string) {
	t.Helper()
	if why == "" {
		t.Fatal("an exception needs a reason")
	}
}
