package migrate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/repair"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/sharded"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

func TestFilesToSegments(t *testing.T) {
	for _, prefix := range []int{0, 1, 2, 5} {
		for _, move := range []bool{false, true} {
			t.Run("", func(t *testing.T) {
				leaktest.Check(t)
				leaktest.FDs(t)
				b := filesBed(t, t.TempDir(), 1, 60, 200_000, prefix)
				before := filesLeft(t, b.from)
				told := 0
				rep := run(t, migrate.Options{From: b.from, To: b.to, Workers: 1, Move: move, OnBad: func(migrate.Bad) { told++ }})
				if rep.Copied != int64(len(b.blobs)) || rep.Bad != int64(len(b.bad)) || told != len(b.bad) || rep.Clean() {
					t.Errorf("%+v, told of %d", rep, told)
				}
				for _, bad := range rep.BadBlobs {
					h, err := blob.ParseHash(bad.Hash)
					if err != nil || b.bad[h] == "" || bad.Path != pathOf(b.from, prefix, h) {
						t.Errorf("listed as bad: %v", bad)
					}
				}
				left := filesLeft(t, b.from)
				if want := map[bool]int{false: len(before), true: len(b.bad)}[move]; len(left) != want {
					t.Errorf("%d files are left, want %d", len(left), want)
				}
				if got := order(t, b.to, migrate.Segments); !slices.Equal(got, b.blobs) {
					t.Error("the order of the files' last use is lost")
				}
				b.mustHave(t, migrate.Segments, 0)
				mustBeClean(t, b.to)
				if _, err := os.Stat(filepath.Join(b.from, ".prism")); err == nil {
					t.Error("something of ours is left in the old cache")
				}
			})
		}
	}
}

func TestSegmentsToFiles(t *testing.T) {
	for _, move := range []bool{false, true} {
		leaktest.Check(t)
		b := segmentsBed(t, t.TempDir(), 2, 80, 600_000)
		rep := run(t, migrate.Options{From: b.from, To: b.to, Layout: migrate.Sharded, ShardingSize: 2, Workers: 1, Move: move})
		if rep.Copied != int64(len(b.blobs)) || !rep.Clean() {
			t.Errorf("%+v", rep)
		}
		if got := order(t, b.to, migrate.Sharded); !slices.Equal(got, b.blobs) {
			t.Error("the order is lost")
		}
		b.mustHave(t, migrate.Sharded, 2)
		b.mustBeLeft(t, move)
	}
}

func TestSegmentsToSegments(t *testing.T) {
	for _, move := range []bool{false, true} {
		leaktest.Check(t)
		b := segmentsBed(t, t.TempDir(), 3, 80, 600_000)
		rep := run(t, migrate.Options{From: b.from, To: b.to, SegmentSize: 32 << 20, Workers: 1, Move: move})
		if rep.Copied != int64(len(b.blobs)) || !rep.Clean() {
			t.Errorf("%+v", rep)
		}
		if got := order(t, b.to, migrate.Segments); !slices.Equal(got, b.blobs) {
			t.Error("the order is lost")
		}
		b.mustHave(t, migrate.Segments, 0)
		mustBeClean(t, b.to)
		b.mustBeLeft(t, move)
	}
}

// mustBeLeft looks at a segment store that blobs were copied or moved from.
func (b bed) mustBeLeft(t *testing.T, moved bool) {
	t.Helper()
	if !moved {
		mustBeClean(t, b.from)
	}
	if files, err := os.ReadDir(filepath.Join(b.from, "segments")); err != nil || moved && len(files) > 0 {
		t.Errorf("segments are left: %v %v", files, err)
	}
	e := openEngine(t, b.from) // whatever was taken away, the store opens, and says what it has
	defer closeAll(t, e)
	for _, h := range b.blobs {
		if ok, err := e.Has(t.Context(), h); ok == moved || err != nil {
			t.Fatalf("the source has %s: %t, %v", h.Short(), ok, err)
		}
	}
}

// The kinds of blobs are kept from segments, and told from the bytes of files.
func TestKinds(t *testing.T) {
	b := filesBed(t, t.TempDir(), 4, 40, 5000, 2)
	run(t, migrate.Options{From: b.from, To: b.to})
	s := store(t, b.to, migrate.Segments, 0)
	if got := s.Stats().SDBytes; got != 4*4096 {
		t.Errorf("SD blobs take %d bytes, want 4 blocks", got)
	}
	closeAll(t, s)
	next := filepath.Join(t.TempDir(), "next")
	run(t, migrate.Options{From: b.to, To: next})
	s = store(t, next, migrate.Segments, 0)
	defer closeAll(t, s)
	if got := s.Stats().SDBytes; got != 4*4096 {
		t.Errorf("SD blobs take %d bytes then, want 4 blocks", got)
	}
}

// What is damaged in a segment is listed with its place and stays, and so does its segment; all else leaves.
func TestDamagedRecordStays(t *testing.T) {
	b := segmentsBed(t, t.TempDir(), 5, 60, 600_000)
	hurt := b.blobs[7]
	e := openEngine(t, b.from)
	hd, err := e.Get(t.Context(), hurt)
	if err != nil {
		t.Fatal(err)
	}
	at := hd.(interface{ Location() segments.Location }).Location()
	hd.Release()
	closeAll(t, e)
	path := filepath.Join(b.from, "segments", mount.SegmentName(at.Segment))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), at.Offset); err != nil {
		t.Fatal(err)
	}
	closeAll(t, f)
	rep := run(t, migrate.Options{From: b.from, To: b.to, Move: true})
	if rep.Bad != 1 || rep.BadBlobs[0].Hash != hurt.String() || rep.BadBlobs[0].Path != path || rep.BadBlobs[0].Slot != at.Slot {
		t.Errorf("%+v", rep)
	}
	b.blobs = slices.DeleteFunc(b.blobs, func(h blob.Hash) bool { return h == hurt })
	b.bad[hurt] = "damaged"
	b.mustHave(t, migrate.Segments, 0)
	if files, err := os.ReadDir(filepath.Join(b.from, "segments")); err != nil || len(files) != 1 {
		t.Errorf("left of the source: %v %v", files, err)
	}
	left, err := repair.Mount(t.Context(), diskfs.OS(), b.from, repair.Options{})
	if err != nil || left.Blobs != 0 || len(left.Lost) != 1 || left.Lost[0].Hash != hurt {
		t.Errorf("a repair of what is left of the source: %v, %s", err, left)
	}
}

// Reading a file leaves its time of access as it is, so a copy, whole or not, does not turn the source's order over.
func TestTimesStay(t *testing.T) {
	b := filesBed(t, t.TempDir(), 12, 20, 5000, 2)
	times := func() (out []time.Time) {
		for _, h := range b.blobs {
			info, err := sharded.At(diskfs.OS(), b.from, 2).Stat(h)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, info.Used)
		}
		return out
	}
	before := times()
	run(t, migrate.Options{From: b.from, To: b.to})
	if !slices.Equal(before, times()) {
		t.Error("the copy changed when files were used")
	}
}

// A copy leaves every file of its source as it was, the logs of an index too that nobody closed: only the locks, which say
// who has it.
func TestSourceStays(t *testing.T) {
	served := segmentsBed(t, t.TempDir(), 13, 40, 50_000)
	e := openEngine(t, served.from)
	defer closeAll(t, e)
	files := filesBed(t, t.TempDir(), 14, 40, 50_000, 2)
	s := store(t, files.from, migrate.Sharded, 2)
	defer closeAll(t, s)
	for _, b := range []bed{served, files} {
		killed := filepath.Join(t.TempDir(), "killed") // as it is while it is served
		err := os.CopyFS(killed, os.DirFS(b.from))
		for errors.Is(err, fs.ErrNotExist) { // what an opening replaced went meanwhile
			killed = filepath.Join(t.TempDir(), "killed")
			err = os.CopyFS(killed, os.DirFS(b.from))
		}
		if err != nil {
			t.Fatal(err)
		}
		before := contents(t, killed)
		rep := run(t, migrate.Options{From: killed, To: b.to, Workers: 1})
		if rep.ServedBy != "" || rep.Copied != int64(len(b.blobs)) {
			t.Errorf("%+v", rep)
		}
		if got := order(t, b.to, migrate.Segments); !slices.Equal(got, b.blobs) {
			t.Error("the order is lost")
		}
		after := contents(t, killed)
		for path := range before {
			if _, there := after[path]; !there {
				t.Errorf("%s is gone", path)
			}
		}
		for path, sum := range after {
			if before[path] != sum {
				t.Errorf("%s was written", path)
			}
		}
	}
}

// contents are the hashes of all files of a folder but its locks.
func contents(t *testing.T, dir string) map[string]blob.Hash {
	t.Helper()
	all := map[string]blob.Hash{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.EqualFold(d.Name(), "lock") {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = blob.Sum(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What is there is not copied again.
func TestAgain(t *testing.T) {
	b := filesBed(t, t.TempDir(), 6, 50, 50_000, 2)
	o := migrate.Options{From: b.from, To: b.to}
	run(t, o)
	if rep := run(t, o); rep.Copied != 0 || rep.There != int64(len(b.blobs)) {
		t.Errorf("a second copy: %+v", rep)
	}
	o.Move = true
	if rep := run(t, o); rep.Copied != 0 || rep.Freed != int64(len(b.blobs)) {
		t.Errorf("a move after a copy: %+v", rep)
	}
	if rep := run(t, o); rep.Found != int64(len(b.bad)) || rep.Bad != int64(len(b.bad)) {
		t.Errorf("a move of what is left: %+v", rep)
	}
	b.mustHave(t, migrate.Segments, 0)
}

// A source that serves is copied beside; it is not freed.
func TestServedSource(t *testing.T) {
	b := segmentsBed(t, t.TempDir(), 7, 40, 50_000)
	e := openEngine(t, b.from)
	defer closeAll(t, e)
	_, err := try(t, migrate.Options{From: b.from, To: b.to, Move: true})
	var held *diskfs.LockedError
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "pid ") {
		t.Errorf("a move from under a store that serves: %v", err)
	}
	if _, err := os.Stat(b.to); err == nil {
		t.Error("the refusal made the destination")
	}
	rep := run(t, migrate.Options{From: b.from, To: b.to})
	if rep.ServedBy == "" || rep.Copied != int64(len(b.blobs)) {
		t.Errorf("%+v", rep)
	}
	b.mustHave(t, migrate.Segments, 0)
}

func TestServedFiles(t *testing.T) {
	b := filesBed(t, t.TempDir(), 8, 40, 50_000, 2)
	s := store(t, b.from, migrate.Sharded, 2)
	if _, err := try(t, migrate.Options{From: b.from, To: b.to, Move: true}); err == nil || !strings.Contains(err.Error(), "pid ") {
		t.Errorf("a move from under a store that serves: %v", err)
	}
	rep := run(t, migrate.Options{From: b.from, To: b.to})
	if rep.ServedBy == "" || rep.Copied != int64(len(b.blobs)) {
		t.Errorf("%+v", rep)
	}
	// At rest its index tells the order, whatever the times of the files say.
	first := b.blobs[0]
	if err := s.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	hd, err := openCopy(t, b.to, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), hd, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	closeAll(t, s)
	write(t, pathOf(b.from, 2, first), hd.Bytes(), time.Unix(1, 0))
	next := filepath.Join(t.TempDir(), "next")
	run(t, migrate.Options{From: b.from, To: next, Workers: 1})
	if want := append(slices.Clone(b.blobs[1:]), first); !slices.Equal(order(t, next, migrate.Segments), want) {
		t.Error("the order of the index is lost")
	}
}

// openCopy reads a blob from a segment store.
func openCopy(t *testing.T, dir string, h blob.Hash) (blob.Verified, error) {
	t.Helper()
	s := store(t, dir, migrate.Segments, 0)
	defer closeAll(t, s)
	hd, err := s.Get(t.Context(), h)
	if err != nil {
		return blob.Verified{}, err
	}
	defer hd.Release()
	data := make([]byte, hd.Size())
	if _, err := hd.ReadAt(data, 0); err != nil {
		return blob.Verified{}, err
	}
	return blob.Verify(h, data)
}

func TestRefused(t *testing.T) {
	root := t.TempDir()
	b := filesBed(t, root, 9, 5, 5000, 2)
	taken := filesBed(t, filepath.Join(root, "taken"), 9, 5, 5000, 2).from
	other := filepath.Join(root, "other")
	if err := os.MkdirAll(filepath.Join(other, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(b.from, link); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]migrate.Options{
		"the same folder":                   {From: b.from, To: b.from},
		"the same folder by a link":         {From: b.from, To: link},
		"inside of a blob's folder":         {From: b.from, To: filepath.Join(b.from, b.blobs[0].String()[:2], "new")},
		"named as a blob's folder":          {From: b.from, To: filepath.Join(b.from, "fe")},
		"in tmp":                            {From: b.from, To: filepath.Join(b.from, "tmp", "new")},
		"around the source":                 {From: b.from, To: root},
		"a source with other files":         {From: other, To: b.to},
		"a destination with other files":    {From: b.from, To: other},
		"a destination of the other layout": {From: b.from, To: taken},
	} {
		if _, err := try(t, o); !errors.Is(err, migrate.ErrPlaces) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]migrate.Options{
		"a source that is missing":       {From: filepath.Join(root, "none"), To: b.to},
		"a destination without a parent": {From: b.from, To: filepath.Join(root, "none", "new")},
	} {
		if _, err := try(t, o); err == nil {
			t.Errorf("%s was not refused", name)
		}
	}
	if len(filesLeft(t, b.from)) != len(b.blobs)+len(b.bad) {
		t.Error("a refusal changed the source")
	}
	for name, o := range map[string]migrate.Options{
		"no source":         {To: "a", MaxSize: 1 << 30},
		"no destination":    {From: "a", MaxSize: 1 << 30},
		"no cap":            {From: "a", To: "b"},
		"a layout":          {From: "a", To: "b", MaxSize: 1 << 30, Layout: "zip"},
		"a sharding size":   {From: "a", To: "b", MaxSize: 1 << 30, Layout: migrate.Sharded, ShardingSize: 96},
		"both":              {From: "a", To: "b", MaxSize: 1 << 30, ShardingSize: 2},
		"segments of files": {From: "a", To: "b", MaxSize: 1 << 30, Layout: migrate.Sharded, SegmentSize: 1 << 30},
		"a small segment":   {From: "a", To: "b", MaxSize: 1 << 30, SegmentSize: 1},
		"a negative cap":    {From: "a", To: "b", MaxSize: -2},
		"workers":           {From: "a", To: "b", MaxSize: 1 << 30, Workers: -1},
		"a rate":            {From: "a", To: "b", MaxSize: 1 << 30, MaxRate: -1},
	} {
		if _, err := migrate.New(o); !errors.Is(err, migrate.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A destination inside of the source is the road for one disk with one folder.
func TestInsideOfTheSource(t *testing.T) {
	b := filesBed(t, t.TempDir(), 10, 40, 50_000, 2)
	b.to = filepath.Join(b.from, "store")
	o := migrate.Options{From: b.from, To: b.to, Move: true}
	if rep := run(t, o); rep.Copied != int64(len(b.blobs)) {
		t.Errorf("%+v", rep)
	}
	b.mustHave(t, migrate.Segments, 0)
	for h := range b.bad {
		if err := os.Remove(pathOf(b.from, 2, h)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time no folder of a blob is left
		if rep := run(t, o); rep.Found != 0 || !rep.Clean() {
			t.Errorf("with nothing left: %+v", rep)
		}
	}
}

// A cap that the source does not fit under is refused before anything is moved.
func TestNoRoom(t *testing.T) {
	b := filesBed(t, t.TempDir(), 11, 80, 2_000_000, 2)
	for _, move := range []bool{false, true} {
		rep, err := try(t, migrate.Options{From: b.from, To: b.to, MaxSize: 64 << 20, Move: move})
		if !errors.Is(err, migrate.ErrRoom) || rep.Copied != 0 {
			t.Errorf("%v, %+v", err, rep)
		}
	}
	if len(filesLeft(t, b.from)) != len(b.blobs)+len(b.bad) {
		t.Error("the source lost something")
	}
}
