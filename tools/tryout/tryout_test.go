package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/mem"
)

// write makes a file and the folders above it.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFindBlobs(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := findBlobs(dir); err == nil || !strings.Contains(err.Error(), "holds no blob") {
		t.Errorf("an empty folder: %v", err)
	}
	a, b := []byte("a"), bytes.Repeat([]byte("b"), blob.MaxSize)
	name := blob.Sum(b).String()
	write(t, filepath.Join(dir, blob.Sum(a).String()), a)
	write(t, filepath.Join(dir, name[:2], name), b)
	write(t, filepath.Join(dir, "again", name), b)
	write(t, filepath.Join(dir, blob.Sum([]byte("c")).String()), []byte("not c"))
	write(t, filepath.Join(dir, blob.Sum(nil).String()), nil)
	write(t, filepath.Join(dir, "notes.txt"), a)
	good, bad, err := findBlobs(dir)
	if err != nil || len(unique(good)) != 2 || total(unique(good)) != int64(len(a)+len(b)) || len(bad) != 2 {
		t.Errorf("found %v, bad %q, %v: want two good and two bad", good, bad, err)
	}
	if _, _, err := findBlobs(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestMakeBlobs(t *testing.T) {
	from, dir := t.TempDir(), t.TempDir()
	if _, err := makeBlobs(dir, []string{from}, 1); err == nil {
		t.Error("made blobs of nothing")
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), (5<<20)/16)
	big = append(big, "end"...)
	write(t, filepath.Join(from, "x", "big"), big)
	write(t, filepath.Join(from, "y"), big)
	write(t, filepath.Join(from, "tiny"), []byte("tiny"))
	made, err := makeBlobs(dir, []string{from}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	// Two whole pieces are the same bytes, so they are one blob; the rest is another.
	if len(made) != 2 || total(made) != blob.MaxSize+int64(len(big))-2*blob.MaxSize {
		t.Errorf("made %d blobs of %d bytes", len(made), total(made))
	}
	found, bad, err := findBlobs(dir)
	if err != nil || len(found) != len(made) || len(bad) != 0 {
		t.Errorf("found %d of %d, bad %q, %v", len(found), len(made), bad, err)
	}
	if made, err = makeBlobs(t.TempDir(), []string{from}, 1); err != nil || len(made) != 1 {
		t.Errorf("asked for a byte: %d blobs, %v: want the first", len(made), err)
	}
}

// TestRead reads blobs back of which one is missing and one is of another size than what was sent in.
func TestRead(t *testing.T) {
	store := mem.New(mem.Options{})
	s := &scene{}
	for i, text := range []string{"good", "of another size", "gone", "good too"} {
		v, err := blob.Verify(blob.Sum([]byte(text)), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		size := v.Size()
		switch i {
		case 1:
			size++
		case 2:
			s.blobs = append(s.blobs, source{v.Hash(), size, ""})
			continue
		}
		if err := store.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
		s.blobs = append(s.blobs, source{v.Hash(), size, ""})
	}
	r := s.each(t.Context(), "read", 2, func(ctx context.Context, b source) error { return read(ctx, store, b) })
	if len(r.errs) != 2 || len(r.times) != 2 || r.asked != 4 || r.verified != int64(len("good")+len("good too")) {
		t.Errorf("%d errors %v, %d good of %d, %d bytes", len(r.errs), r.errs, len(r.times), r.asked, r.verified)
	}
	if n := store.Pinned(); n != 0 {
		t.Errorf("%d handles are left", n)
	}
}

func TestJudge(t *testing.T) {
	ok := func() []*round {
		return []*round{{asked: 3, want: -1}, {asked: 3, fills: 3, want: 3}, {asked: 3}}
	}
	if err := judge(ok()); err != nil {
		t.Errorf("good rounds: %v", err)
	}
	for name, spoil := range map[string]func([]*round){
		"an error":         func(r []*round) { r[2].errs = []error{blob.ErrCorrupt} },
		"not taken":        func(r []*round) { r[0].errs = []error{blob.ErrFull} },
		"asked twice":      func(r []*round) { r[1].fills = 4 },
		"not asked at all": func(r []*round) { r[1].fills = 2 },
		"not kept":         func(r []*round) { r[2].fills = 1 },
	} {
		r := ok()
		spoil(r)
		if judge(r) == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestOptions(t *testing.T) {
	var errs bytes.Buffer
	for _, args := range [][]string{{}, {"-prism", "/nonexistent"}, {"-prism", os.Args[0], "extra"}, {"-prism", os.Args[0], "-conns", "0"}, {"-nonsense"}} {
		if _, err := parseOptions(args, &errs); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	o, err := parseOptions([]string{"-prism", os.Args[0], "-once"}, &errs)
	if err != nil || !o.once || o.size == 0 {
		t.Errorf("%+v, %v", o, err)
	}
}
