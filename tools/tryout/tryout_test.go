package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
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

func TestRewrite(t *testing.T) {
	const block = "servers:\n  http: # port: 1\n    port: 5569  # the usual\nstore:\n  disk:\n    mount_point: \"/mnt/a b\"\n"
	got, err := rewrite(block, []change{{key: "port", value: "7"}, {key: "mount_point", value: quoted("/t/$1")}})
	want := "servers:\n  http: # port: 1\n    port: 7  # the usual\nstore:\n  disk:\n    mount_point: \"/t/$1\"\n"
	if err != nil || got != want {
		t.Errorf("block style: %v\n%s", err, got)
	}
	got, err = rewrite("http: {port: 5569, x: 1}", []change{{key: "port", value: "7"}, {key: "size", value: "1", optional: true}})
	if want := "http: {port: 7, x: 1}"; err != nil || got != want {
		t.Errorf("flow style: %v\n%s", err, got)
	}
	for name, text := range map[string]string{"missing": "a: 1", "only in a comment": "# port: 1", "twice": "port: 1\nport: 2", "part of a name": "report: 1"} {
		if _, err := rewrite(text, []change{{key: "port", value: "7"}}); err == nil || !strings.Contains(err.Error(), `"port"`) {
			t.Errorf("%s: error %v, want one that names the key", name, err)
		}
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

// TestAsk lets an asker loose on an origin behind a handler that spoils some answers.
func TestAsk(t *testing.T) {
	dir := t.TempDir()
	var blobs []source
	for _, text := range []string{"good", "wrong bytes", "short", "gone", "good too"} {
		path := filepath.Join(dir, text)
		write(t, path, []byte(text))
		blobs = append(blobs, source{blob.Sum([]byte(text)), int64(len(text)), path})
	}
	list := filepath.Join(dir, "list")
	if err := writeList(list, blobs); err != nil {
		t.Fatal(err)
	}
	at, err := readList(list)
	if err != nil || len(at) != len(blobs) {
		t.Fatalf("the list came back as %v, %v", at, err)
	}
	write(t, blobs[1].path, []byte("WRONG bytes"))
	write(t, blobs[2].path, []byte("shor"))
	if err := os.Remove(blobs[3].path); err != nil {
		t.Fatal(err)
	}
	o := httptest.NewServer(&origin{at: at})
	defer o.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, o.URL+"/"+r.FormValue("hash"), http.StatusFound)
	}))
	defer front.Close()
	a := newAsker(front.URL, o.URL, 2)
	defer a.client.CloseIdleConnections()
	r, err := a.ask(t.Context(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.errs) != 3 || len(r.times) != 2 || r.misses != 5 || r.verified != blobs[0].size+blobs[4].size {
		t.Errorf("%d errors %v, %d good, %d misses, %d bytes", len(r.errs), r.errs, len(r.times), r.misses, r.verified)
	}
}

func TestJudge(t *testing.T) {
	ok := func() []*round { return []*round{{asked: 3, misses: 3}, {asked: 3}} }
	if err := judge(ok()); err != nil {
		t.Errorf("good rounds: %v", err)
	}
	for name, spoil := range map[string]func([]*round){
		"an error":         func(r []*round) { r[1].errs = []error{blob.ErrCorrupt} },
		"asked twice":      func(r []*round) { r[0].misses = 4 },
		"not asked at all": func(r []*round) { r[0].misses = 2 },
		"not kept":         func(r []*round) { r[1].misses = 1 },
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
