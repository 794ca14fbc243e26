package journal_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata/journal"
)

// name is the hash of a number.
func name(i int) blob.Hash { return blob.Sum(binary.BigEndian.AppendUint64(nil, uint64(i))) }

func options(dir string) journal.Options {
	return journal.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, o journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// all is every entry.
func all(t *testing.T, j *journal.Journal) []journal.Entry {
	t.Helper()
	entries, _, err := j.Next(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// news is what a journal has to tell.
func news(t *testing.T, j *journal.Journal) map[blob.Hash]journal.News {
	t.Helper()
	m := map[blob.Hash]journal.News{}
	for _, e := range all(t, j) {
		m[e.Hash] = e.News
	}
	return m
}

func want(t *testing.T, j *journal.Journal, entries map[blob.Hash]journal.News) {
	t.Helper()
	if got := news(t, j); !maps.Equal(got, entries) {
		t.Errorf("%d entries: %v, want %d: %v", len(got), got, len(entries), entries)
	}
	if n := j.Stats().Entries; n != int64(len(entries)) {
		t.Errorf("Stats says %d entries, want %d", n, len(entries))
	}
}

func TestNotesAndSettling(t *testing.T) {
	leaktest.Check(t)
	j := open(t, options(filepath.Join(t.TempDir(), "a", "b")))
	before := time.Now().Add(-time.Second)
	want(t, j, nil)
	j.Note(name(1), journal.Changed)
	j.Note(name(2), journal.Used)
	j.Note(name(2), journal.Used)
	want(t, j, map[blob.Hash]journal.News{name(1): journal.Changed, name(2): journal.Used})
	taken := all(t, j)
	for _, e := range taken {
		if e.At.Before(before.Truncate(time.Second)) || e.At.After(time.Now()) {
			t.Errorf("noted at %v", e.At)
		}
	}
	j.Note(name(1), journal.Used)
	j.Note(name(3), journal.Changed)
	both := journal.Changed | journal.Used
	want(t, j, map[blob.Hash]journal.News{name(1): both, name(2): journal.Used, name(3): journal.Changed})
	if err := j.Settle(taken); err != nil { // 1 was noted again
		t.Fatal(err)
	}
	want(t, j, map[blob.Hash]journal.News{name(1): both, name(3): journal.Changed})
	taken = all(t, j)
	j.Note(name(3), journal.Changed) // in memory only when it is settled
	if err := j.Settle(taken); err != nil {
		t.Fatal(err)
	}
	want(t, j, map[blob.Hash]journal.News{name(3): journal.Changed})
	if err := errors.Join(j.Settle(taken), j.Settle(all(t, j)), j.Settle(nil)); err != nil {
		t.Fatal(err)
	}
	want(t, j, nil)
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Next(0, 1); err == nil {
		t.Error("a closed journal gave entries")
	}
}

// TestOldestFirst demands entries in the order of their last note, in pieces of any size.
func TestOldestFirst(t *testing.T) {
	j := open(t, options(t.TempDir()))
	for i := range 10 {
		j.Note(name(i), journal.Changed)
		all(t, j) // which writes it
	}
	j.Note(name(0), journal.Changed)
	var got []blob.Hash
	for from := uint64(0); ; {
		some, next, err := j.Next(from, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range some {
			got = append(got, e.Hash)
		}
		if from = next; len(some) < 3 {
			break
		}
	}
	var order []blob.Hash
	for i := 1; i <= 10; i++ {
		order = append(order, name(i%10))
	}
	if !slices.Equal(got, order) {
		t.Errorf("got %v, want %v", got, order)
	}
}

func TestReadyFollowsNotes(t *testing.T) {
	j := open(t, options(t.TempDir()))
	for i := range 3 {
		j.Note(name(i), journal.Changed)
		select {
		case <-j.Ready():
		case <-time.After(time.Minute):
			t.Fatal("nobody said that there is news")
		}
		want(t, j, map[blob.Hash]journal.News{name(i): journal.Changed})
		if err := j.Settle(all(t, j)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReopen(t *testing.T) {
	leaktest.Check(t)
	dir := t.TempDir()
	o := options(dir)
	j := open(t, o)
	if j.Whole() {
		t.Error("a new journal cannot have all news")
	}
	if _, err := journal.Open(o); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("a second opening: %v", err)
	}
	expected := map[blob.Hash]journal.News{}
	for i := range 5000 {
		j.Note(name(i), journal.Changed)
		expected[name(i)] = journal.Changed
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, o)
	want(t, j, expected)
	if j.Whole() {
		t.Error("it was not whole, and is after a restart")
	}
	j.SetWhole(j.Losses())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, o)
	want(t, j, expected)
	if !j.Whole() || !j.Met() {
		t.Error("it was whole and closed, and is not whole after a restart")
	}
	taken := all(t, j)
	j.Note(name(7), journal.Changed) // with a sequence above those of the earlier run
	if err := j.Settle(taken); err != nil {
		t.Fatal(err)
	}
	want(t, j, map[blob.Hash]journal.News{name(7): journal.Changed})
	if err := errors.Join(j.NoteAll([]blob.Hash{name(7), name(8)}), j.NoteAll(nil)); err != nil {
		t.Fatal(err)
	}
	want(t, j, map[blob.Hash]journal.News{name(7): journal.Changed, name(8): journal.Changed})
	losses := j.Losses()
	j.Doubt()
	j.SetWhole(losses)
	if j.Whole() {
		t.Error("a comparison that began before news was lost counted")
	}
}

// image is the files of a folder.
type image map[string][]byte

func imageOf(t *testing.T, dir string) image {
	t.Helper()
	m := image{}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m[n.Name()] = data
	}
	return m
}

// on writes the files to a disk in memory.
func (m image) on(t *testing.T) *crashfs.FS {
	t.Helper()
	disk := crashfs.New()
	if err := disk.Mkdir("/j"); err != nil {
		t.Fatal(err)
	}
	for n, data := range m {
		f, err := disk.Create("/j/" + n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(data, 0); len(data) > 0 && err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// full is the image of a journal that was whole and closed, with tables, a log, and what it has to tell.
func full(t *testing.T) (image, map[blob.Hash]journal.News) {
	t.Helper()
	dir := t.TempDir()
	expected := map[blob.Hash]journal.News{}
	for round := range 3 {
		j := open(t, options(dir))
		for i := range 40 {
			j.Note(name(100*round+i), journal.Changed)
			expected[name(100*round+i)] = journal.Changed
		}
		j.SetWhole(j.Losses())
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return imageOf(t, dir), expected
}

// judge opens what is left of a journal. It must open, have nothing that never was, and not claim to be whole when
// something is missing.
func judge(t *testing.T, left image, expected map[blob.Hash]journal.News) (whole bool) {
	t.Helper()
	o := options("/j")
	o.FS = left.on(t)
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	got := news(t, j)
	for h, n := range got {
		if expected[h] != n {
			t.Fatalf("%s has %d", h.Short(), n)
		}
	}
	if whole = j.Whole(); whole && len(got) != len(expected) {
		t.Fatalf("%d of %d entries, and it claims to be whole", len(got), len(expected))
	}
	j.Note(name(-1), journal.Changed) // and it must work
	if got := news(t, j); got[name(-1)] != journal.Changed {
		t.Fatal("what was noted afterwards is not there")
	}
	return whole
}

// TestCutAtEveryByte cuts each file at each byte, removes it, or flips one bit of each byte.
func TestCutAtEveryByte(t *testing.T) {
	whole, expected := full(t)
	if !judge(t, whole, expected) {
		t.Fatal("what is not damaged is not whole")
	}
	kept := 0
	for n, data := range whole {
		t.Run(n, func(t *testing.T) {
			step := 1
			if len(data) > 2000 || testing.Short() {
				step = 1 + len(data)/500
			}
			for at := 0; at < len(data); at += step {
				left := maps.Clone(whole)
				left[n] = data[:at]
				if judge(t, left, expected) {
					kept++
				}
				flipped := slices.Clone(data)
				flipped[at] ^= 1 << (at % 8)
				left[n] = flipped
				if judge(t, left, expected) {
					kept++
				}
			}
			left := maps.Clone(whole)
			delete(left, n)
			judge(t, left, expected)
		})
	}
	t.Logf("%d kinds of damage were harmless", kept)
}

// TestKill copies the folder while the journal is open: what was not closed is not whole, and whatever was noted durably
// is there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	j := open(t, options(dir))
	j.SetWhole(j.Losses())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, options(dir))
	for i := range 20 {
		if err := j.NoteDurably(name(i), journal.Changed); err != nil {
			t.Fatal(err)
		}
	}
	left := imageOf(t, dir)
	delete(left, "LOCK")
	o := options("/j")
	o.FS = left.on(t)
	k, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if k.Whole() {
		t.Error("a journal that was not closed claims to be whole")
	}
	if got := news(t, k); len(got) != 20 {
		t.Errorf("%d of 20 durable notes are there", len(got))
	}
}

// TestPowerCuts cuts the power at random moments: durable notes stay, and what was not settled stays.
func TestPowerCuts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		disk := crashfs.New()
		o := options("/j")
		o.FS = disk
		j, err := journal.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		durable := map[blob.Hash]journal.News{}
		for i := range 1 + r.IntN(30) {
			if r.IntN(2) == 0 {
				j.Note(name(i), journal.Used)
				continue
			}
			if err := j.NoteDurably(name(i), journal.Changed); err != nil {
				t.Fatal(err)
			}
			durable[name(i)] = journal.Changed
		}
		left, _ := disk.Cut(r.Uint64())
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		o.FS = left
		if j, err = journal.Open(o); err != nil {
			t.Fatal(err)
		}
		got := news(t, j)
		for h := range durable {
			if got[h]&journal.Changed == 0 {
				t.Errorf("a durable note is gone")
			}
		}
		if j.Whole() {
			t.Error("it claims to be whole")
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFailingDisk demands that a disk which fails costs the journal, and nothing else: no call hangs, and the next
// opening says that news was lost.
func TestFailingDisk(t *testing.T) {
	leaktest.Check(t, "internal/diskfs/crashfs", "cockroachdb/pebble", "index/guardfs")
	disk := crashfs.New()
	o := options("/j")
	o.FS = disk
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	j.SetWhole(j.Losses())
	disk.SetHook(func(op crashfs.Op) error {
		if op.Kind == crashfs.OpSync || op.Kind == crashfs.OpWrite {
			return syscall.EIO
		}
		return nil
	})
	if err := j.NoteDurably(name(1), journal.Changed); err == nil {
		t.Error("a note is durable on a disk that fails")
	}
	for deadline := time.Now().Add(time.Minute); j.Whole(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody noticed")
		}
	}
	j.Note(name(2), journal.Changed)
	if s := j.Stats(); !s.Failed {
		t.Error("Stats does not say so")
	}
	if err := j.Close(); err == nil {
		t.Error("Close does not say so")
	}
	disk.SetHook(nil)
	if j, err = journal.Open(o); err != nil {
		t.Fatal(err)
	}
	if j.Whole() {
		t.Error("after that the journal claims to be whole")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
