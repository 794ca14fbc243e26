package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// What Pack makes can be uploaded, and is the file.
func TestPack(t *testing.T) {
	b := newBed(t)
	data := bytes.Repeat(storetest.Blob(t, 1, 1<<20).Bytes(), 5)
	path := filepath.Join(t.TempDir(), "a file: 1.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := upload.Pack(t.Context(), upload.PackOptions{File: path, Dir: filepath.Join(b.dir, "new", "er")})
	if err != nil || res.Blobs != 3 || res.Size != int64(len(data)) {
		t.Fatalf("%+v, %v", res, err)
	}
	if sum, err := b.upload(t.Context(), nil); sum.Uploaded != 4 || sum.SD != 1 || sum.Hidden != 0 || err != nil {
		t.Fatalf("%+v, %v", sum, err)
	}
	get := func(h blob.Hash) []byte {
		t.Helper()
		handle, err := b.store.Get(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		defer handle.Release()
		var out bytes.Buffer
		if _, err := handle.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	d, err := stream.Read(get(res.SD))
	if err != nil || d.Name != "a file: 1.bin" || d.SuggestedName != "a file 1.bin" {
		t.Fatalf("%+v, %v", d, err)
	}
	var back []byte
	for i, c := range d.Blobs {
		plain, err := d.Decrypt(i, get(c.Hash))
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, plain...)
	}
	if !bytes.Equal(back, data) {
		t.Error("the file came back changed")
	}
}

func TestPackRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := func(o upload.PackOptions, want error, words string) {
		t.Helper()
		out := filepath.Join(dir, "out")
		if o.Dir == "" {
			o.Dir = out
		}
		_, err := upload.Pack(t.Context(), o)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: %v, want %v %q", o, err, want, words)
		}
		if left, _ := filepath.Glob(out + "/*"); len(left) > 0 {
			t.Errorf("%+v left %q", o, left)
		}
	}
	f(upload.PackOptions{File: filepath.Join(dir, "none")}, fs.ErrNotExist, "none")
	f(upload.PackOptions{File: file("empty", "")}, stream.ErrEmptyFile, "empty")
	f(upload.PackOptions{File: dir}, nil, "folder")
	f(upload.PackOptions{File: "/dev/zero"}, nil, "regular")
	f(upload.PackOptions{File: file("a\xff", "x")}, stream.ErrName, "--name")
	f(upload.PackOptions{File: file("a", "x"), Name: "../b"}, nil, "path")
	f(upload.PackOptions{File: file("a", "x"), Dir: file("file", "x")}, syscall.ENOTDIR, "")
	sparse := file("sparse", "")
	if err := os.Truncate(sparse, stream.MaxFile+1); err == nil {
		f(upload.PackOptions{File: sparse}, stream.ErrTooLong, "cut it")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := upload.Pack(ctx, upload.PackOptions{File: file("b", "x"), Dir: filepath.Join(dir, "out")}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
