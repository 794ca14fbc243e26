package crashfs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// seeds is how many power cuts a test tries.
const seeds = 300

// outcomes cuts the power once a seed and counts what show makes of what is left.
func outcomes(f *crashfs.FS, show func(after *crashfs.FS) string) map[string]int {
	out := map[string]int{}
	for seed := range uint64(seeds) {
		after, _ := f.Cut(seed)
		out[show(after)]++
	}
	return out
}

// wantOutcomes demands that each of these was seen and nothing else.
func wantOutcomes(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	slices.Sort(want)
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
		t.Errorf("power cuts leave %v, want each of %q", got, want)
	}
}

// durable makes a file that survives everything.
func durable(t *testing.T, f *crashfs.FS, name string, data []byte) diskfs.File {
	t.Helper()
	file := create(t, f, name)
	writeAt(t, file, data, 0)
	must(t, file.Sync())
	must(t, f.SyncDir("/"))
	return file
}

// letter names the content of a file of one fill.
func letter(t *testing.T, f diskfs.FS, name string) string {
	if !exists(t, f, name) {
		return "none"
	}
	data := content(t, f, name)
	if len(data) == 0 {
		return "empty"
	}
	if len(bytes.Trim(data, string(data[:1]))) > 0 {
		return "mixed"
	}
	if data[0] == 0 {
		return "zeros"
	}
	return string(data[:1])
}

func fill(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func TestWhatWasSyncedSurvives(t *testing.T) {
	f := crashfs.New()
	must(t, f.Mkdir("/d"))
	file := create(t, f, "/d/a")
	writeAt(t, file, pattern(1, 10*block+7), 3)
	must(t, file.Preallocate(20*block, 4*block))
	must(t, file.Punch(2*block, 3*block))
	must(t, file.Sync())
	must(t, f.Rename("/d/a", "/b"))
	must(t, f.SyncDir("/d"))
	must(t, f.SyncDir("/"))
	want := tree(t, f, "/")
	for seed := range uint64(seeds) {
		after, report := f.Cut(seed)
		if got := tree(t, after, "/"); !maps.Equal(got, want) || report.Lost() {
			t.Fatalf("%s; the tree has %d names, want %d with the same bytes", report, len(got), len(want))
		}
	}
}

func TestFateOfABlock(t *testing.T) {
	f := crashfs.New()
	file := durable(t, f, "a", fill('a', block))
	writeAt(t, file, fill('b', block), 0)
	writeAt(t, file, fill('c', block), 0)
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string { return letter(t, after, "a") }),
		"a", "b", "c", "mixed")
}

func TestFateOfANewFile(t *testing.T) {
	f := crashfs.New()
	file := create(t, f, "a")
	writeAt(t, file, fill('a', block), 0)
	show := func(after *crashfs.FS) string { return letter(t, after, "a") }
	wantOutcomes(t, outcomes(f, show), "none", "empty", "zeros", "mixed", "a")
	must(t, file.Sync())
	wantOutcomes(t, outcomes(f, show), "none", "a")
	must(t, f.SyncDir("/"))
	wantOutcomes(t, outcomes(f, show), "a")
}

// A write into reserved room that is lost leaves a hole, and now and then zeros that count as data.
func TestFateOfReservedRoom(t *testing.T) {
	f := crashfs.New()
	file := create(t, f, "a")
	must(t, file.Preallocate(0, 4*block))
	must(t, file.Sync())
	must(t, f.SyncDir("/"))
	writeAt(t, file, fill('x', block), block)
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string {
		alloc, data := shape(t, after, "a")
		got := content(t, after, "a")
		if len(got) != 4*block || alloc != 4*block {
			t.Fatalf("%d bytes, %d reserved", len(got), alloc)
		}
		all := fmt.Sprint(bytes.Equal(got[block:2*block], fill('x', block)))
		if bytes.Equal(got, make([]byte, 4*block)) {
			all = "zeros"
		}
		return fmt.Sprint(data, all)
	}), "[]zeros", "[4096 8192]zeros", "[4096 8192]true", "[4096 8192]false")
}

func TestPreallocationAndPunchAreWhole(t *testing.T) {
	f := crashfs.New()
	file := durable(t, f, "a", fill('a', 8*block))
	must(t, file.Punch(2*block, 4*block))
	must(t, file.Preallocate(8*block, 8*block))
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string {
		alloc, data := shape(t, after, "a")
		return fmt.Sprint(alloc/block, len(content(t, after, "a"))/block, data)
	}), "8 8 [0 32768]", "4 8 [0 8192 24576 32768]", "12 16 [0 8192 24576 32768]")
}

// What was written where a lost punch had made a hole is lost as well: its new block was never mapped.
func TestWriteAfterAPunch(t *testing.T) {
	f := crashfs.New()
	file := durable(t, f, "a", fill('a', block))
	must(t, file.Punch(0, block))
	writeAt(t, file, fill('b', block), 0)
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string { return letter(t, after, "a") }),
		"a", "zeros", "b", "mixed")
	for seed := range uint64(seeds) {
		after, _ := f.Cut(seed)
		if got := content(t, after, "a"); bytes.ContainsRune(got, 'a') && bytes.ContainsRune(got, 'b') {
			t.Fatalf("seed %d: the punched bytes are beside those that were written into the hole", seed)
		}
	}
}

// What is cut off never comes back when the file grows again.
func TestTruncation(t *testing.T) {
	f := crashfs.New()
	file := durable(t, f, "a", fill('a', 2*block))
	must(t, file.Truncate(100))
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string {
		a := open(t, after, "a")
		defer a.Close()
		size, err := a.Size()
		must(t, err)
		must(t, a.Truncate(2*block))
		return fmt.Sprint(size, bytes.Count(content(t, after, "a"), []byte("a")))
	}), "100 100", "8192 8192")
	must(t, file.Truncate(2*block))
	writeAt(t, file, fill('b', 10), block)
	for seed := range uint64(seeds) {
		after, _ := f.Cut(seed)
		got := content(t, after, "a")
		if n := bytes.Count(got, []byte("a")); n != 100 && n != 2*block {
			t.Fatalf("seed %d: %d old bytes", seed, n)
		}
	}
}

func TestNamesSurviveInOrder(t *testing.T) {
	f := crashfs.New()
	for _, n := range []string{"1", "2", "3"} {
		create(t, f, n).Close()
	}
	must(t, f.Remove("1"))
	must(t, f.Mkdir("4"))
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string {
		names, err := after.List("/")
		must(t, err)
		return fmt.Sprint(names)
	}), "[]", "[1]", "[1 2]", "[1 2 3]", "[2 3]", "[2 3 4]")
}

// A rename is in the folder of the old name and in that of the new, or in neither. A sync of one folder settles both.
func TestRenameBetweenFolders(t *testing.T) {
	f := crashfs.New()
	must(t, f.Mkdir("x"))
	must(t, f.Mkdir("y"))
	must(t, f.SyncDir("/"))
	create(t, f, "x/a").Close()
	must(t, f.SyncDir("x"))
	must(t, f.Rename("x/a", "y/b"))
	must(t, f.Rename("y/b", "y/c"))
	show := func(after *crashfs.FS) string {
		x, err := after.List("x")
		must(t, err)
		y, err := after.List("y")
		must(t, err)
		return fmt.Sprint(x, y)
	}
	wantOutcomes(t, outcomes(f, show), "[a] []", "[] [b]", "[] [c]")
	must(t, f.SyncDir("x"))
	wantOutcomes(t, outcomes(f, show), "[] [b]", "[] [c]")
	must(t, f.SyncDir("y"))
	wantOutcomes(t, outcomes(f, show), "[] [c]")
}

func TestFolderThatWasNotSynced(t *testing.T) {
	f := crashfs.New()
	must(t, f.Mkdir("d"))
	file := create(t, f, "d/a")
	must(t, file.Sync())
	must(t, f.SyncDir("d"))
	wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string { return fmt.Sprint(exists(t, after, "d/a")) }),
		"true", "false")
}

// The usual way to replace a file, whole and with each of its syncs left out.
func TestReplaceByRename(t *testing.T) {
	for _, c := range []struct {
		name              string
		syncFile, syncDir bool
		want              []string
	}{
		{"whole", true, true, []string{"b"}},
		{"folder not synced", true, false, []string{"a", "b"}},
		{"file not synced", false, true, []string{"b", "empty", "mixed", "zeros"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := crashfs.New()
			durable(t, f, "a", fill('a', block))
			file := create(t, f, "tmp")
			writeAt(t, file, fill('b', block), 0)
			if c.syncFile {
				must(t, file.Sync())
			}
			must(t, f.Rename("tmp", "a"))
			if c.syncDir {
				must(t, f.SyncDir("/"))
			}
			wantOutcomes(t, outcomes(f, func(after *crashfs.FS) string { return letter(t, after, "a") }), c.want...)
		})
	}
}

func TestRemovedFile(t *testing.T) {
	f := crashfs.New()
	file := durable(t, f, "a", fill('a', block))
	must(t, f.Remove("a"))
	must(t, file.Punch(0, block)) // through the handle that is still open
	show := func(after *crashfs.FS) string { return letter(t, after, "a") }
	wantOutcomes(t, outcomes(f, show), "none", "a", "zeros")
	must(t, f.SyncDir("/"))
	wantOutcomes(t, outcomes(f, show), "none")
}

func TestSyncThatFailedForgets(t *testing.T) {
	f := crashfs.New()
	file := durable(t, f, "a", fill('a', block))
	writeAt(t, file, fill('b', block), 0)
	f.SetHook(func(op crashfs.Op) error {
		if op.Kind == crashfs.OpSync {
			return errInjected
		}
		return nil
	})
	if err := file.Sync(); err == nil {
		t.Fatal("the injected error is lost")
	}
	f.SetHook(nil)
	must(t, file.Sync())
	show := func(after *crashfs.FS) string { return letter(t, after, "a") }
	if got := outcomes(f, show); got["a"] == 0 || got["b"] == 0 {
		t.Errorf("after a failed sync and a good one: %v, want old bytes too", got)
	}
	writeAt(t, file, fill('c', block), 0)
	must(t, file.Sync())
	wantOutcomes(t, outcomes(f, show), "c")
}

func TestCutIsRepeatable(t *testing.T) {
	f := crashfs.New()
	history(t, f, rand.New(rand.NewPCG(1, 2)), 300, nil)
	before := tree(t, f, "/")
	differ := 0
	for seed := range uint64(20) {
		a, ra := f.Cut(seed)
		b, rb := f.Cut(seed)
		if ra != rb || !maps.Equal(tree(t, a, "/"), tree(t, b, "/")) {
			t.Fatalf("seed %d gives two results: %v and %v", seed, ra, rb)
		}
		if !ra.Lost() {
			t.Errorf("nothing was lost: %s", ra)
		}
		if !maps.Equal(tree(t, a, "/"), before) {
			differ++
		}
		twice, report := a.Cut(seed)
		if report.Lost() || !maps.Equal(tree(t, twice, "/"), tree(t, a, "/")) {
			t.Fatalf("seed %d: what a cut left is not durable: %s", seed, report)
		}
	}
	if differ < 15 || !maps.Equal(tree(t, f, "/"), before) {
		t.Errorf("%d of 20 cuts show; the original is the same: %v", differ, maps.Equal(tree(t, f, "/"), before))
	}
}

func TestCloneAndOriginalShareNothing(t *testing.T) {
	f := crashfs.New()
	durable(t, f, "a", fill('a', 4*block))
	after, _ := f.Cut(1)
	file := open(t, after, "a")
	writeAt(t, file, fill('b', 100), 50)
	must(t, file.Punch(block, block))
	must(t, after.Remove("a"))
	if got := letter(t, f, "a"); got != "a" {
		t.Errorf("the original now holds %q", got)
	}
}

// sectorLog is what each sector of each file may hold after a power cut: the ids of the writes since the last sync, and
// the one that was there at that time.
type sectorLog map[string]map[int64][]uint64

func (l sectorLog) write(name string, s int64, id uint64) {
	if l[name] == nil {
		l[name] = map[int64][]uint64{}
	}
	if len(l[name][s]) == 0 {
		l[name][s] = []uint64{0}
	}
	l[name][s] = append(l[name][s], id)
}

func (l sectorLog) sync(name string) {
	for s, ids := range l[name] {
		l[name][s] = ids[len(ids)-1:]
	}
}

// history makes random changes to four files, and notes in log what may come of them.
func history(t *testing.T, f *crashfs.FS, r *rand.Rand, steps int, log sectorLog) {
	t.Helper()
	if log == nil {
		log = sectorLog{}
	}
	names := []string{"a", "b", "c", "d"}
	var files []diskfs.File
	for _, n := range names {
		files = append(files, create(t, f, n))
	}
	must(t, f.SyncDir("/"))
	for id := uint64(1); id <= uint64(steps); id++ {
		k := r.IntN(len(names))
		from, n := r.Int64N(64), 1+r.Int64N(24)
		switch r.IntN(12) {
		case 0:
			must(t, files[k].Sync())
			log.sync(names[k])
		case 1:
			must(t, files[k].Punch(from*sector, n*sector))
			for s := from; s < from+n; s++ {
				log.write(names[k], s, 0)
			}
		case 2:
			must(t, files[k].Preallocate(from*sector, n*sector))
		case 3:
			must(t, files[k].Truncate(from*sector))
			for s := from; s < 64+24; s++ {
				log.write(names[k], s, 0)
			}
		default:
			writeAt(t, files[k], pattern(id, int(n)*sector), from*sector)
			for s := from; s < from+n; s++ {
				log.write(names[k], s, id)
			}
		}
	}
}

// After any history and any cut, no sector holds anything but one of its versions since the last sync, whole.
func TestSectorsHoldOneOfTheirVersions(t *testing.T) {
	var total crashfs.Report
	for seed := range uint64(60) {
		f, log := crashfs.New(), sectorLog{}
		history(t, f, rand.New(rand.NewPCG(seed, 7)), 200, log)
		after, report := f.Cut(seed)
		total.Add(report)
		for name, sectors := range log {
			data := content(t, after, name)
			for s := range int64(len(data) / sector) {
				got := data[s*sector : (s+1)*sector]
				id := binary.LittleEndian.Uint64(got)
				if !bytes.Equal(got, pattern(id, sector)) {
					t.Fatalf("seed %d: sector %d of %s is torn", seed, s, name)
				}
				if ids := sectors[s]; !slices.Contains(ids, id) && id != 0 {
					t.Fatalf("seed %d: sector %d of %s holds write %d, want one of %d", seed, s, name, id, ids)
				}
			}
		}
	}
	if total.BlocksKept == 0 || total.BlocksDropped == 0 || total.BlocksOlder == 0 || total.BlocksTorn == 0 ||
		total.BlocksZeroed == 0 || total.ChangesKept == 0 || total.ChangesDropped == 0 {
		t.Errorf("some fate was never met: %s", total)
	}
}
