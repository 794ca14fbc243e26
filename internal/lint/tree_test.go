package lint

import (
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTree holds the tree to every rule.
func TestTree(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := load(root, token.NewFileSet())
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages: are we in the right tree?", len(pkgs))
	}
	read := func(t *testing.T, name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	each := func(check func(pkg) []string) func(*testing.T) {
		return func(t *testing.T) {
			for _, p := range pkgs {
				report(t, check(p))
			}
		}
	}
	t.Run("imports", each(checkImports))
	t.Run("stale rows", each(checkStale))
	t.Run("index uses of segments", each(checkIndexUsesOfSegments))
	t.Run("package comment", each(checkPackageComment))
	t.Run("package name", each(checkPackageName))
	t.Run("state", each(checkState))
	t.Run("checked mounts", each(checkChecked))
	t.Run("architecture", func(t *testing.T) {
		report(t, checkArchitecture(read(t, "docs/ARCHITECTURE.md"), pkgs))
	})
	t.Run("dependencies", func(t *testing.T) {
		report(t, checkDependencies(read(t, "go.mod"), read(t, "docs/dependencies.md")))
	})
	t.Run("named tests", func(t *testing.T) {
		proofs, err := filepath.Glob(filepath.Join(root, "docs", "proofs", "*.md"))
		if err != nil || len(proofs) == 0 {
			t.Fatalf("%d proofs, %v", len(proofs), err)
		}
		for _, p := range proofs {
			name := "docs/proofs/" + filepath.Base(p)
			report(t, checkNamedTests(name, read(t, name), pkgs))
		}
	})
	t.Run("text", func(t *testing.T) {
		for _, name := range sources(t, root) {
			report(t, checkText(name, []byte(read(t, name))))
		}
	})
}

func report(t *testing.T, bad []string) {
	t.Helper()
	for _, b := range bad {
		t.Error(b)
	}
}

// sources lists the files of the tree: what git tracks or would track, or, in an unpacked archive, all of them.
func sources(t *testing.T, root string) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	cmd.Dir = root
	var names []string
	if out, err := cmd.Output(); err == nil {
		for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
			if info, err := os.Lstat(filepath.Join(root, name)); err == nil && info.Mode().IsRegular() {
				names = append(names, name)
			}
		}
		return names
	}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "dist" || d.Name() == ".cache" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
