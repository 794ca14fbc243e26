package engine_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var allMutants = flag.Bool("all-mutants", false, "seed every bug of TestMutantsAreCaught, not only the first three")

// mutant is a bug that is seeded into a copy of one source file. The power cuts must find it.
type mutant struct {
	name, file, old, new string
}

var mutants = []mutant{
	{
		name: "sync skipped", file: "put.go",
		old: "err = s.syncs.run(s.Sync); err != nil {\n\t\t\te.writeFailed(s, \"sync\", err)",
		new: "err != nil {\n\t\t\te.writeFailed(s, \"sync\", err)",
	},
	{
		name: "acknowledged early", file: "put.go",
		old: "return e.store(s, rec, v.Bytes())",
		new: "go func() { _ = e.store(s, rec, v.Bytes()) }()\n\treturn nil",
	},
	{
		name: "punched before the synced delete", file: "put.go",
		old: "var r removed\n\tvar ok bool\n\terr := e.commit(",
		new: "var r removed\n\tvar ok bool\n\tif ent, err := e.ix.Get(h); err == nil {\n\t\t_ = e.segs.get(ent.Segment).Punch(ent.Offset, segments.Blocks(ent.Length))\n\t}\n\terr := e.commit(",
	},
	{
		name: "delete not synced", file: "put.go",
		old: "&change{sync: true, apply: func(g *group) { r, ok = g.remove(h, nil) }}",
		new: "&change{sync: false, apply: func(g *group) { r, ok = g.remove(h, nil) }}",
	},
	{
		name: "folder of a new segment not synced", file: "../segments/segment.go",
		old: "return fs.SyncDir(filepath.Dir(path))",
		new: "return nil",
	},
	{
		name: "watermark ahead", file: "flush.go",
		old: "if p := s.Prefix(); p >",
		new: "if p := s.Reserved() + 2; p >",
	},
	{
		name: "watermark without a sync", file: "flush.go",
		old: "if err := m.seg.syncs.run(m.seg.Sync); err != nil {",
		new: "if err := error(nil); err != nil {",
	},
	{
		name: "no tombstone above the watermark", file: "commit.go",
		old: "if e.Slot >= s.row.Watermark {",
		new: "if false {",
	},
	{
		name: "payloads above the watermark not proven", file: "recover.go",
		old: "if err != nil || !ok || e.rebuilding {",
		new: "if err != nil || true {",
	},
	{
		name: "row written before the payload", file: "put.go",
		old: "err := s.Write(rec, payload)",
		new: "_ = e.commit(&change{apply: func(g *group) { g.put(s, rec) }})\n\terr := s.Write(rec, payload)",
	},
}

// TestMutantsAreCaught seeds bugs, one at a time, and wants the TestCrash… tests to fail on each.
func TestMutantsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests anew for each bug")
	}
	some := mutants[:3]
	if *allMutants {
		some = mutants
	}
	for _, m := range some {
		t.Run(m.name, func(t *testing.T) { m.mustBeCaught(t) })
	}
}

func (m mutant) mustBeCaught(t *testing.T) {
	path, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), m.old) != 1 {
		t.Fatalf("%s holds the code to change %d times, want once: the bug needs to be written anew", m.file, strings.Count(string(source), m.old))
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-overlay", list, "-run", "^TestCrash", ".", "-crash-points", "300")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err == nil:
		t.Errorf("nothing was noticed:\n%s", text)
	case !strings.Contains(text, "--- FAIL: TestCrash"):
		t.Fatalf("the mutant did not run: %v\n%s", err, text)
	default:
		for line := range strings.Lines(text) {
			if strings.Contains(line, ".go:") && !strings.Contains(line, "repeat with") {
				t.Logf("caught: %s", strings.TrimSpace(line))
				break
			}
		}
	}
}
