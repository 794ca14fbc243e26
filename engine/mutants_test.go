package engine_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var allMutants = flag.Bool("all-mutants", false, "seed every bug of TestMutantsAreCaught, not only the first three")

// mutant is a bug that is seeded into a copy of one source file. A test must find it: one of those that cut the power,
// or the one that is named.
type mutant struct {
	name, file, old, new string

	test string // default: TestCrash, with all that begin so
	pkg  string // of that test; default: this one
}

var mutants = []mutant{
	{
		name: "sync skipped", file: "put.go",
		old: "err = s.syncs.run(s.Sync); err != nil {\n\t\t\te.writeFailed(s, \"sync\", err)",
		new: "err != nil {\n\t\t\te.writeFailed(s, \"sync\", err)",
	},
	{
		name: "acknowledged early", file: "put.go",
		old: "return e.store(s, rec, err)",
		new: "go func() { _ = e.store(s, rec, err) }()\n\t\treturn nil",
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
		old: "if p := s.Prefix(); (p >",
		new: "if p := s.Reserved() + 2; (p >",
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
		old: "if err == nil && (!ok || e.rebuilding) {",
		new: "if err == nil {",
	},
	{
		name: "row written before the payload", file: "put.go",
		old: "err = s.Write(rec, v.Bytes())",
		new: "_ = e.commit(&change{apply: func(g *group) { g.put(s, rec) }})\n\terr = s.Write(rec, v.Bytes())",
	},
	{
		name: "a failed sync is tried again", file: "segtable.go", test: "TestFailedSyncAcknowledgesNobody",
		old: "if g.failed == nil {\n\t\tg.failed = sync()\n\t}",
		new: "g.failed = sync()",
	},
	{
		name: "cap off by a segment", file: "roll.go", test: "TestPinsHoldSpace",
		old: "if e.used()+need > e.limit.Load() {",
		new: "if e.used() > e.limit.Load() {",
	},
	{
		name: "charged for less than is used", file: "roll.go", test: "TestChargesCoverTheDisk",
		old: "e.charged.Add(need) // before the file",
		new: "e.charged.Add(need / 2) // before the file",
	},
	{
		name: "reader not pinned", file: "../segments/pins.go", test: "TestKillWaitsForTheLastPin", pkg: "../segments",
		old: "s.dead.set(slot)\n\tif s.pins[slot] > 0 {",
		new: "s.dead.set(slot)\n\tif false {",
	},
	{
		name: "dead record pinned", file: "../segments/pins.go", test: "TestKillWaitsForTheLastPin", pkg: "../segments",
		old: "if s.closed || s.dead.has(slot) {",
		new: "if s.closed {",
	},
	{
		name: "CRC not checked", file: "../segments/scan.go", test: "TestBadInput68FlippedBits",
		old: "n, err := f.ReadAt(buf[:l.Length], l.Offset)\n\tif n < int(l.Length) {\n\t\treturn readError(l, n, err)\n\t}\n\tif Checksum(buf[:l.Length]) != l.CRC {",
		new: "n, err := f.ReadAt(buf[:l.Length], l.Offset)\n\tif n < int(l.Length) {\n\t\treturn readError(l, n, err)\n\t}\n\tif false {",
	},
	{
		name: "slot not compared with its row", file: "get.go", test: "TestBadInput68FlippedBits",
		old: "rec, err := s.ReadSlot(ent.Slot)\n\t\tif err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\tif rec.Hash != h || rec.Location != ent.Location || rec.Dead {",
		new: "rec := segments.Record{}\n\t\tif rec.Dead {",
	},
	{
		name: "quarantine skipped", file: "get.go", test: "TestQuarantine",
		old: "e.ioError(kind, err)\n\te.condemn(h, ent, err)",
		new: "e.ioError(kind, err)",
	},
	{
		name: "the lower sequence wins", file: "recover.go", test: "TestBadInput70TwoRecordsOfOneBlob",
		old: "old.Seq < rec.Seq",
		new: "old.Seq > rec.Seq",
	},
}

// TestMutantsAreCaught seeds bugs, one at a time, and wants the test that is named for each, or the power cuts, to fail.
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

// TestMutantsFit wants the code that each of them changes to be there, once.
func TestMutantsFit(t *testing.T) {
	for _, m := range mutants {
		m.source(t)
	}
}

// source is the file that is changed.
func (m mutant) source(t *testing.T) (path, text string) {
	t.Helper()
	path, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		t.Errorf("%s: %s holds the code to change %d times, want once: the bug needs to be written anew", m.name, m.file, n)
	}
	return path, string(b)
}

func (m mutant) mustBeCaught(t *testing.T) {
	path, source := m.source(t)
	dir := t.TempDir()
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(source, m.old, m.new, 1)), 0o600); err != nil {
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
	args := []string{"test", "-count=1", "-overlay", list, "-run", "^" + cmp.Or(m.test, "TestCrash"), cmp.Or(m.pkg, ".")}
	if m.test == "" {
		args = append(args, "-crash-points", "300")
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err == nil:
		t.Errorf("nothing was noticed:\n%s", text)
	case !strings.Contains(text, "--- FAIL: "+cmp.Or(m.test, "TestCrash")):
		t.Fatalf("the mutant did not run: %v\n%s", err, text)
	default:
		for line := range strings.Lines(text) {
			if strings.Contains(line, ".go:") && !strings.Contains(line, "repeat with") && !strings.Contains(line, ": seed ") {
				t.Logf("caught: %s", strings.TrimSpace(line))
				break
			}
		}
	}
}
